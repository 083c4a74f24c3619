/*
 * rebuild_rows.h — the rows of one snapshot become changes (the second half of rebuild.h)
 *
 * Why:     each group of counters has its own query; all are read through a cursor, page by page,
 *          so that memory stays the same however many rows there are.
 * Limits:  CURSOR_ROWS a page; a list of changes is run when it is longer than FLUSH_ARGS.
 */
#pragma once

#include "rebuild.h"
#include <stddef.h>

struct changes;
struct changes_guard;

struct rebuild {
    const struct rebuild_options *options; /* borrowed */
    struct changes *changes;               /* borrowed */
    int64_t at_s;                          /* the present, for all of this rebuild */
    char token[24];
};

MUST_CHECK bool rebuild_load_totals(struct rebuild *self, struct error *err);
/* Quarter hours, days and last sequences. */
MUST_CHECK bool rebuild_load_quarters(struct rebuild *self, struct error *err);
/* Seconds and minutes. */
MUST_CHECK bool rebuild_load_minutes(struct rebuild *self, struct error *err);
MUST_CHECK bool rebuild_load_uniques(struct rebuild *self, struct error *err);

/* Runs the list behind the rebuild's token, and empties it. */
MUST_CHECK bool rebuild_flush(struct rebuild *self, struct error *err);
MUST_CHECK bool rebuild_flush_with(struct rebuild *self, const struct changes_guard *guard,
                                   struct error *err);
