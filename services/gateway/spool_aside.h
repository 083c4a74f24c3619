/*
 * spool_aside.h — the damaged files beside a spool's file, and which of them wait to be rescued
 *
 *   spool.db.damaged-<unix ms>             set aside; what can be read of it is still to be copied
 *   spool.db.damaged-<unix ms>.rescued     what could be read of it is in spool.db
 *
 * Why:     a rescue that was cut short by a kill or a full disk goes on at the next opening: a name
 *          changes only when all that can be read of the file has been committed elsewhere.
 * Shape:   a file's log has the same name with "-wal" behind it, where SQLite looks for it.
 * Errors:  ERROR_UNAVAILABLE: the directory cannot be changed. ERROR_LIMIT: SPOOL_ASIDE_MAX files
 *          wait already: a person's to look into, none of them may be thrown away.
 * Limits:  SPOOL_ASIDE_MAX files that wait, and as many that were rescued: an older one is removed.
 * Threads: any; the owner of the directory's lock.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { SPOOL_ASIDE_MAX = 8, SPOOL_ASIDE_PATH_MAX = 320, SPOOL_ASIDE_LIST_MAX = 64 };

struct spool_asides {
    size_t count;
    int64_t at_ms[SPOOL_ASIDE_LIST_MAX]; /* what is in their names; the oldest first */
};

/* Those that are still to be rescued. path is the spool's file in all of these. */
void spool_aside_list(const char *path, struct spool_asides *out);
void spool_aside_name(const char *path, int64_t at_ms, char out[SPOOL_ASIDE_PATH_MAX]);

/* The file and its log; *at_ms becomes the next one whose name is free. */
MUST_CHECK bool spool_aside_move(const char *path, int64_t *at_ms, struct error *err);
/* Before the file is opened: ends a move that was cut short between the file and its log. */
void spool_aside_end_move(const char *path);
/* All that can be read of it is committed elsewhere. */
MUST_CHECK bool spool_aside_mark(const char *path, int64_t at_ms, struct error *err);
