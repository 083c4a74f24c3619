/*
 * endpoints_reload.h — SIGHUP for a service that takes up nothing but where the servers are
 *
 * Shape:   the service says where in its settings the parts lie that all services have; what comes
 *          back is for reloader_open.
 * Memory:  struct endpoints_reload is borrowed until reloader_close.
 */
#pragma once

#include "clients/endpoints.h"
#include "runtime/reloader.h"

struct endpoints_reload {
    const struct option_row *rows; /* borrowed */
    const void *settings;          /* the running ones; borrowed */
    size_t settings_size;
    size_t process_offset, endpoints_offset; /* of struct process_settings and struct endpoints */
};

struct reload_options endpoints_reload_options(struct endpoints_reload *reload,
                                               struct service *service);
