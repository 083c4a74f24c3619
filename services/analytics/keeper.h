/*
 * keeper.h — what a partition needs beside counting: rebuild, repair, trim
 *
 * Why:     all of it waits for PostgreSQL, which may be slow, frozen or gone; counting must never
 *          wait for it. So each partition has a keeper thread beside its counting thread, with
 *          connections of its own. The two share nothing: what they agree on is in Redis, behind
 *          the scripts' guards, just as if they were two processes.
 * Errors:  a failed step is repeated; every part of it is idempotent.
 * Threads: one owner thread; keeper_health may be called from any.
 */
#pragma once

#include "base/error.h"
#include "place.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;
struct endpoint;
struct keeper;
struct metrics;

struct keeper_options {
    uint32_t partition, partition_count;
    struct bus *bus;                   /* borrowed */
    struct metrics *metrics;           /* borrowed */
    struct endpoint *redis, *postgres; /* borrowed until keeper_close */
    int connect_ms, redis_ms, pg_ms;
    int trim_interval_ms;
    int64_t dedup_window_ms;
    bool (*on_progress)(void *ctx); /* false: stop, the process ends or the lease is gone */
    bool (*on_wait)(void *ctx);     /* false: the process ends, PostgreSQL is not waited for */
    void *ctx;
};

struct keeper *keeper_open(const struct keeper_options *options, struct error *err);
void keeper_close(struct keeper **keeper);

MUST_CHECK bool keeper_step(struct keeper *keeper, struct error *err);

/* What the last step found; is_pg_up: its last word with PostgreSQL was an answer. */
struct keeper_health {
    bool is_known, is_pg_up, is_redis_up;
    enum place_verdict verdict;
};
struct keeper_health keeper_health(const struct keeper *keeper);
