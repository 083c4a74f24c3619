/*
 * worker.h — the two threads of one partition
 *
 * Why:     one thread counts (analytics.h), the other keeps (keeper.h); both work only while this
 *          process holds the partition's lease. The lease saves work; the scripts' guards are what
 *          makes two processes on one partition harmless.
 * Memory:  a worker owns its connections and closes them in worker_stop, when both threads ended.
 * Threads: main starts and stops; worker_health may be called from any thread.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct bus;
struct leases;
struct metrics;
struct service;
struct settings;
struct worker;

struct worker_options {
    uint32_t partition;
    const struct settings *settings; /* borrowed, as is all below */
    struct service *service;
    struct bus *bus;
    struct leases *leases;
    struct metrics *metrics;
};

struct worker *worker_start(const struct worker_options *options, struct error *err);
/* Waits for both threads: the service must be stopping. */
void worker_stop(struct worker **worker);

enum worker_state {
    WORKER_IDLE,     /* another process holds the lease */
    WORKER_COUNTING, /* the last step went well */
    WORKER_WAITING,  /* Redis has no position: a rebuild is due or under way */
    WORKER_FAILING,  /* the last step failed */
};

struct worker_health {
    enum worker_state state;
    bool is_keeping; /* the keeper has looked at least once; the rest is its word */
    bool is_pg_up, is_redis_up;
    bool is_stream_behind;
};
struct worker_health worker_health(const struct worker *worker);
