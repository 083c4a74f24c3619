/*
 * repair.h — Redis's quarter hours, days and totals are set to PostgreSQL's rollups
 *
 * Why:     whatever ingest did not insert (a duplicate, a dead letter) may have been counted in
 *          Redis. Ingest marks the ad and quarter hour in `dirty`; here it is compared and set, and
 *          every closed quarter hour is compared once more.
 * Shape:   a quarter hour is only set when both stores have counted the same messages of it. One
 *          statement, so one snapshot, reads PostgreSQL's position and the rollups; the script
 *          judges atomically that
 *            - Redis's position reaches the mark and the rollup's last_seq, and
 *            - the last message that Redis counted there is not beyond PostgreSQL's position.
 *          Else the mark stays and is tried again.
 * Threads: one owner thread.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct metrics;
struct pg;
struct redis;
struct repair;

struct repair_options {
    uint32_t partition, partition_count;
    struct pg *pg;           /* borrowed */
    struct redis *redis;     /* borrowed */
    struct metrics *metrics; /* borrowed */
};

struct repair *repair_new(const struct repair_options *options); /* NULL: no memory */
void repair_free(struct repair **repair);

/* Settles the partition's dirty marks, as many pages as MARK_PAGES_MAX. */
MUST_CHECK bool repair_marks(struct repair *repair, int64_t at_ms, struct error *err);
/* Compares the next page of the oldest closed quarter hour that is not yet compared. */
MUST_CHECK bool repair_reconcile(struct repair *repair, int64_t at_ms, struct error *err);
