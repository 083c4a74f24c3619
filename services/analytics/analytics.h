/*
 * analytics.h — counting one partition: fetch -> decode -> fold -> apply
 *
 * Why:     the counters and the position of a partition move in one script call that holds only
 *          while the stored position is the one we started from. So a crash, a redelivery or a
 *          second process cannot count twice; whoever loses throws its memory away and reads again.
 * Shape:   analytics_step does one fetch and as many calls as it takes; a message that is too large
 *          for one call is counted in parts. The wait for more messages follows what the last call
 *          cost and how much folding saved: many events on few ads are worth waiting for, a lone
 *          click or one event an ad is not.
 * Errors:  any failure leaves nothing half done: the next step begins at the stored position.
 * Threads: one owner thread.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct analytics;
struct metrics;
struct reader;
struct redis;

struct analytics_options {
    uint32_t partition;
    struct redis *redis;     /* borrowed */
    struct reader *reader;   /* borrowed */
    struct metrics *metrics; /* borrowed */
    size_t fold_entries_max; /* bounds one call's arguments; its time bounds it further */
    size_t recent_ids_max;
    int fold_wait_ms; /* the longest wait for more messages */
    int idle_wait_ms; /* the wait for a first message */
    uint64_t seed;
};

struct analytics *analytics_new(const struct analytics_options *options, struct error *err);
void analytics_free(struct analytics **analytics);

MUST_CHECK bool analytics_step(struct analytics *analytics, struct error *err);
/* Redis holds no position: counting waits for a rebuild. */
bool analytics_is_waiting(const struct analytics *analytics);
/* The lease is gone: what is held is not ours any more, nor is the clock's skew to be told. */
void analytics_release(struct analytics *analytics);
