/*
 * reloader.h — SIGHUP: the settings are read again, all of them or none
 *
 * Why:     a new key, another limit or a louder log must not cost a restart. The environment of a
 *          process stays, but a value given by X_FILE is read from its file again.
 * Shape:   a thread of its own, as files may be slow; several SIGHUPs in a row are one. It reopens
 *          LOG_FILE, loads and checks every setting as a start would, hands the fresh ones to the
 *          owner, and sets LOG_LEVEL. Rows that are not RELOADABLE keep their values, and a change
 *          of one is logged as setting_needs_restart.
 * Errors:  only opening can fail. Wrong settings are logged as reload_failed and change nothing.
 * Threads: open and close on one thread; apply is called on the reloader's.
 */
#pragma once

#include "base/error.h"
#include "runtime/config.h"

struct reloader;
struct service;

struct reload_options {
    struct service *service;       /* borrowed */
    const struct option_row *rows; /* borrowed */
    const void *settings;          /* what the process has started with; borrowed */
    size_t settings_size;
    size_t process_offset; /* of the struct process_settings in it */
    /* Checks what a row alone cannot, takes up what it can, or changes nothing. fresh is freed
     * afterwards. */
    bool (*apply)(void *ctx, void *fresh, struct error *err);
    void *ctx;
};

struct reloader *reloader_open(const struct reload_options *options, struct error *err);
void reloader_close(struct reloader **reloader);
