/*
 * rebuild.h — Redis's counters of one partition, made anew from PostgreSQL
 *
 * Why:     Redis may lose its memory; PostgreSQL has every event up to its position, the rest is
 *          still on the stream.
 * Shape:   one REPEATABLE READ snapshot gives the position P and all that was counted up to it.
 *
 *            claim      the position goes, so that nobody counts; a token makes this rebuild the
 * one clear      keys of an older life go totals     totals, quarter hours, days, last sequences
 * from the rollups position   is set to P: counting goes on at P + 1, beside the rest minutes
 * seconds and minutes of the recent rows, added to what is being counted uniques    visitors:
 * HyperLogLogs only grow, so that order does not matter done
 *
 *          A crash leaves the state in Redis, and the next keeper begins again. Two that rebuild at
 *          once: the token of the later one stops the earlier.
 * Errors:  any failure leaves the claim; call again.
 * Threads: one owner thread; it takes seconds to minutes and calls on_progress in between.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct metrics;
struct pg;
struct redis;

struct rebuild_options {
    uint32_t partition, partition_count;
    struct pg *pg;           /* borrowed */
    struct redis *redis;     /* borrowed */
    struct metrics *metrics; /* borrowed */
    int query_ms;            /* deadline that pg has again afterwards */
    /* False: stop now, the process ends. */
    bool (*on_progress)(void *ctx);
    void *ctx;
};

/* expected: the position that is to go, "": none, "*": whatever there is. first_seq: the stream's.
 */
MUST_CHECK bool rebuild_run(const struct rebuild_options *options, const char *expected,
                            uint64_t first_seq, struct error *err);
