/*
 * query_pool.h — the threads that ask PostgreSQL for a loop
 *
 * Why:     libpq blocks, a loop may not.
 * Shape:   a bounded queue before a few threads, each with a connection of its own. A job's run is
 *          called on one of them; then it comes back to the loop that gave it as a message to its
 *          receiver; query_pool_receive is that receiver's function. What is slow has a pool of its
 *          own, so that it cannot stand in the way of what is not.
 * Errors:  ERROR_LIMIT when the queue is full; a job's result holds what run made of it, or,
 *          without a call of run, ERROR_LIMIT when so little of query_ms was left after its wait
 *          here that PostgreSQL could not be blamed for the rest, or ERROR_UNAVAILABLE when the
 *          breaker that all threads of the pool share is open.
 * Units:   of analytics (query_sql_read): windows up to an hour are counted from the events, longer
 *          ones from the quarter hours, as counters.h does; unique_clicks are exact, but -1 where
 *          they take longer than the deadline (a long window over many events).
 * Memory:  a job is the caller's and must live until done.
 * Limits:  queue_max jobs wait; query_ms bounds a job from its submission on, a new connection's
 *          connect_ms come on top.
 * Threads: submit from any loop; done runs on the job's own loop.
 */
#pragma once

#include "base/error.h"
#include "counters.h"

#include <h2o.h>

struct catalogue_snapshot;
struct endpoint;
struct pg;
struct query_pool;

enum { QUERY_SHARE_LEAST = 4 }; /* a job is run while a quarter of query_ms is left */

struct query_job {
    h2o_multithread_message_t super; /* first: the receiver casts */
    h2o_multithread_receiver_t *receiver;
    /* On a pool's thread: keeps to deadline_ms and fills result when it fails. */
    void (*run)(struct pg *pg, struct query_job *job);
    /* Of analytics (query_sql_read) alone: */
    struct counters_question question; /* its ad_id is borrowed until done; NULL: all ads */
    const struct catalogue_snapshot *catalogue; /* all ads: those of this one; borrowed */
    struct ad_numbers *numbers; /* the ad's, or by the ads' places; the caller's, zeroed */
    int64_t fresh_ms;           /* Unix: all that was published until then is in them; 0: unknown */
    /* Of every job: */
    void (*done)(struct query_job *job);
    void *ctx;
    struct error result; /* ERROR_NONE: run has done its work */
    int64_t deadline_ms; /* set by the pool */
    /* private to query_pool.c */
    struct query_job *next;
};

/* One deadline for all statements of a job: the next may take what the others have left. */
MUST_CHECK bool query_has_time(struct pg *pg, int64_t deadline_ms, struct error *err);

/* Index is the metrics' label. */
enum query_pool_name { QUERY_POOL_QUERY, QUERY_POOL_PROOF };

struct query_pool_options {
    enum query_pool_name name;
    struct endpoint *postgres; /* borrowed */
    const char *application;   /* borrowed: how PostgreSQL calls its connections */
    const char *what;          /* borrowed: how metrics and logs call the breaker */
    int threads;
    size_t queue_max;
    int connect_ms, query_ms;
    int slow_ms; /* a job over this is slow for the breaker */
};

/* Connects with the first job. */
struct query_pool *query_pool_open(const struct query_pool_options *options, struct error *err);
/* Fails what is queued, what runs, and what comes from now on: soon each job is back. */
void query_pool_stop(struct query_pool *pool);
/* Stops it. The loops must be gone, or idle. */
void query_pool_close(struct query_pool **pool);

MUST_CHECK bool query_pool_submit(struct query_pool *pool, struct query_job *job,
                                  struct error *err);
/* For h2o_multithread_register_receiver. */
void query_pool_receive(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages);
