/*
 * spool_dir.h — who owns which directory of spools
 *
 *   SPOOL_DIR/<instance>/lock         held (flock) by the process that uses it, for all its life
 *                       /spool.db     spool_file.h, with its log spool.db-wal
 *                       /spool.db.damaged-<unix ms>    spool_aside.h
 *   SPOOL_DIR/<instance>~adopted-<unix ms>/   of an instance that is gone: another one empties it
 *   SPOOL_DIR/<instance>~damaged-<unix ms>/   emptied, but for what nobody can publish: a person's
 *
 * Why:     a gateway that is gone for good must not take its spool with it: any gateway that sees
 *          the directory takes its lock, which the kernel has let go, and publishes what is there.
 *          It renames it first, so that an instance that comes back meanwhile finds its name free.
 * Errors:  ERROR_INVALID: a living process has this instance's lock. ERROR_UNAVAILABLE: the
 *          directory cannot be made, read or written.
 * Limits:  SPOOL_DIR_LOCK_MS to wait for a lock that may be let go at once.
 * Threads: any; a struct spool_dir has one owner.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { SPOOL_PATH_MAX = 256, SPOOL_INSTANCE_MAX = 64, SPOOL_DIR_LOCK_MS = 1000 };

struct spool_dir {
    char path[SPOOL_PATH_MAX];
    int lock_fd; /* -1: not held */
};

/* Letters, digits, '.', '_' and '-', not first a '.', at most SPOOL_INSTANCE_MAX. */
bool spool_dir_is_instance(const char *name);

/* Makes base/instance with its parents, and takes its lock. */
MUST_CHECK bool spool_dir_lock(const char *base, const char *instance, struct spool_dir *out,
                               struct error *err);
/* A look at all directories in turn: where the last one ended. At first all 0. */
struct spool_dir_look {
    char last[SPOOL_PATH_MAX]; /* the instance that was tried last */
};

/* Takes the directories under base whose owners are gone, at most max; returns how many. In the
 * order of their names from behind look->last on, around to it: some that cannot be opened, and
 * are let go and taken again, do not hold back the others. */
size_t spool_dir_adopt(const char *base, int64_t at_ms, struct spool_dir_look *look,
                       struct spool_dir *out, size_t max);
/* Removes an adopted directory whose spool is closed and empty. False: something else is in it. */
bool spool_dir_remove(struct spool_dir *dir);
/* Renames an adopted directory, so that it is left to a person; *dir has the new path. */
bool spool_dir_retire(struct spool_dir *dir, int64_t at_ms);
/* Lets the lock go; the directory stays. */
void spool_dir_release(struct spool_dir *dir);

/* Its SQLite file. */
void spool_dir_file(const struct spool_dir *dir, char out[SPOOL_PATH_MAX]);

/* Shows the room of the volume under base. Nothing else fills it as a rule, but other gateways'
 * spools may lie on it. */
void spool_dir_report_disk(const char *base);
