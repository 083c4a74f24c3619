/*
 * ask.h — one reading of one ad
 *
 *   ask_start -> Redis (again when there were more series than known) -> done
 *          \- down, empty, or no answer -> PostgreSQL's threads -------/
 *
 * Errors:  ERROR_UNAVAILABLE when neither store answered, ERROR_LIMIT when neither took it.
 * Memory:  the struct is the caller's and must live until done, which comes exactly once if
 *          ask_start was true, and never otherwise.
 * Threads: the loop's.
 */
#pragma once

#include "counters.h"
#include "query_pool.h"
#include "redis_loop.h"

struct query;

struct ask_result {
    struct counters_reading reading;
    bool is_from_postgres;
};

/* result is NULL with an error. */
typedef void (*ask_done_fn)(void *ctx, const struct ask_result *result, const struct error *error);

struct ask {
    ask_done_fn done;
    void *ctx;
    bool is_redis_only; /* the caller turns to PostgreSQL itself */
    /* private to ask.c */
    struct query *query;
    struct redis_batch batch;
    struct counters_plan plan;
    struct query_job job;
    struct ad_numbers numbers; /* the job's */
    int rounds;
};

MUST_CHECK bool ask_start(struct ask *ask, struct query *query,
                          const struct counters_question *question, struct error *err);
