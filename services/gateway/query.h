/*
 * query.h — what a loop thread needs to answer analytics
 *
 * Why:     Redis is asked asynchronously, and equal questions that arrive together are asked once.
 * Shape:   answers.h keeps single ads' answers, board.h whole boards; both read by ask.h, which
 *          goes to Redis on the loop, and to PostgreSQL's threads (query_pool.h) without Redis.
 *
 *   handler -> answers_serve -> (kept for cache_ms) -> ask -> Redis | PostgreSQL
 *           -> boards_serve  -> (kept for board_cache_ms) -> ask, ad by ad
 *
 * Units:   now_ms is monotonic, at_ms Unix time; both are those of the turn or of the request.
 * Threads: one struct query a loop; everything here belongs to that loop's thread.
 */
#pragma once

#include "base/error.h"
#include "catalogue.h"
#include "counters.h"
#include "redis_nodes.h"
#include "zones.h"

#include <h2o.h>

struct answers;
struct boards;
struct query_pool;

struct query_options {
    struct redis_loop_options redis;
    struct query_pool *pool; /* borrowed, shared by all loops; NULL: no PostgreSQL to turn to */
    struct query_pool *proof_pool; /* likewise, for what may take long: inquiry.h */
    const struct zones *zones;     /* borrowed, shared by all loops */
    uint32_t partitions;
    int64_t cache_ms, board_cache_ms;
    int64_t stale_after_ms;
};

struct query {
    struct query_options options;
    h2o_context_t *h2o;
    struct redis_nodes *redis;
    struct answers *answers;
    struct boards *boards;
    h2o_multithread_receiver_t receiver;        /* of the pool's results */
    size_t asks;                                /* under way */
    const struct catalogue_snapshot *catalogue; /* owned reference */
    struct counters_known *known;               /* by the ads' places in it */
    int64_t now_ms, at_ms;                      /* as query_set_clocks was told */
};

struct query *query_new(h2o_context_t *h2o, const struct query_options *options, struct error *err);
/* Fails what is under way; waits, turning the loop, for what PostgreSQL's threads still have of
 * ours. Requests that come meanwhile are answered 503. */
void query_close(struct query **query);

/* Before every request's question: the loop may have slept since the last turn. */
void query_set_clocks(struct query *query, int64_t now_ms, int64_t at_ms);
/* At the end of every turn, and once before the first request. */
void query_turn(struct query *query, const struct catalogue_snapshot *catalogue, int64_t now_ms,
                int64_t at_ms);
bool query_is_idle(const struct query *query);
bool query_redis_is_up(const struct query *query);

/* What is known of the ad's series; NULL: the ad is not in the catalogue. */
struct counters_known *query_known(struct query *query, const char *ad_id);
