/*
 * partitions.h — a table a day for events and for batches: made ahead, dropped when old
 *
 * Why:     an INSERT fails when its day has no table, and deleting millions of rows is slow where
 *          dropping a table is not. A plain CREATE or DROP of a partition waits behind any long
 *          reader and stops ingest meanwhile: a table is made apart and ATTACHed, and DETACHed
 *          CONCURRENTLY before it is dropped.
 * Units:   days as in day.h.
 * Errors:  a lock that is not free within the session's lock_timeout is ERROR_UNAVAILABLE: call
 *          again. Everything is safe to repeat, and safe in two processes at once.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct pg;

/* Makes the day's tables unless they are there. */
MUST_CHECK bool partitions_make(struct pg *pg, int64_t day, struct error *err);

/*
 * Drops every day before first_kept, visitors counted first; finishes what another process left
 * half done. *out_dropped counts tables.
 */
MUST_CHECK bool partitions_drop(struct pg *pg, int64_t first_kept, size_t *out_dropped,
                                struct error *err);
