/*
 * redis_loop.h — Redis on a loop: transactions whose replies come by callback
 *
 * Why:     the query path may not block a loop, and a frozen Redis must not hold its requests.
 * Shape:   hiredis's asynchronous client on h2o's sockets. A transaction is begin, commands,
 *          commit: MULTI, what was given, EXEC. Commands are collected and written once a turn.
 *
 *   WAITING --due--> RESOLVING --> CONNECTING --> GREETING --PONG--> UP
 *      ^                 |             |              |               |
 *      '-- jittered backoff: refused, lost, or a deadline has passed -'
 *
 *          Of several nodes that an endpoint names, each try takes the next; a replica is left.
 *          An endpoint with another text ends the connection: what waited is told, and the next
 *          one is made there at once.
 *
 * Breaker: a transaction is one attempt: an outage costs few of them their deadline, and the others
 *          are told at once.
 * Units:   now_ms is monotonic and passed in; deadlines are seen at the end of a turn.
 * Errors:  ERROR_UNAVAILABLE when there is no connection or no answer in batch_ms, or the breaker
 *          is open; ERROR_LIMIT when pending_max transactions wait. A transaction that was begun
 *          always comes back.
 * Memory:  struct redis_batch is the caller's, and must live until its callback.
 * Threads: the loop's.
 */
#pragma once

#include "base/error.h"
#include "clients/guard.h"
#include "clients/redis.h"

#include <h2o.h>
#include <hiredis/hiredis.h>
#include <stdint.h>

struct endpoint;
struct redis_loop;

struct redis_loop_options {
    struct endpoint *endpoint; /* a redis:// URL; borrowed until redis_loop_close */
    int connect_ms;            /* name, connection and greeting together */
    int batch_ms;
    int slow_ms; /* a transaction over this is slow for the breaker */
    unsigned thread;
    size_t pending_max;
    struct redis_node node; /* instead of those that the endpoint names; port 0: one of these */
    /* A transaction was refused, since the partition's keys are on another node; NULL: not told. */
    void (*on_moved)(void *ctx, uint32_t partition, const struct redis_node *node);
    void *ctx;
};

/* replies are EXEC's, borrowed for the call; NULL with an error. */
typedef void (*redis_batch_fn)(void *ctx, redisReply *const *replies, size_t count,
                               const struct error *error);

struct redis_batch {
    redis_batch_fn done;
    void *ctx;
    uint32_t partition; /* that all its keys are of */
    /* private to redis_loop.c */
    struct breaker_permit permit;
    int64_t deadline_ms;
    struct redis_batch *next;
};

/* Connects at the first turn. NULL: no memory. */
struct redis_loop *redis_loop_new(h2o_context_t *h2o, const struct redis_loop_options *options);
/* Fails what still waits. */
void redis_loop_close(struct redis_loop **loop);

/* Call it at the end of every turn: writes, deadlines, reconnects. */
void redis_loop_turn(struct redis_loop *loop, int64_t now_ms);
bool redis_loop_is_up(const struct redis_loop *loop);

/* True: commands follow, then a commit, all before the loop turns. */
MUST_CHECK bool redis_loop_begin(struct redis_loop *loop, int64_t now_ms, struct error *err);
/* A counters_emit_fn: loop is the ctx. False: the connection has just broken; commit all the same,
 * the callback tells. */
bool redis_loop_command(void *loop, int argc, const char **argv, const size_t *sizes);
void redis_loop_commit(struct redis_loop *loop, struct redis_batch *batch, int64_t now_ms);
