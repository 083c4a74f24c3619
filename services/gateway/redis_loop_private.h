/*
 * redis_loop_private.h — what redis_loop.c and redis_loop_batch.c share; nobody else includes it
 *
 * redis_loop.c makes and loses the connection, redis_loop_batch.c sends transactions over it.
 */
#pragma once

#include "base/backoff.h"
#include "redis_loop.h"

#include <hiredis/async.h>

enum state { WAITING, RESOLVING, CONNECTING, GREETING, UP };

struct redis_loop {
    struct redis_loop_options options;
    struct redis_address address; /* read off the endpoint for each connection */
    uint64_t version;             /* of the endpoint, that it was read from */
    h2o_context_t *h2o;
    enum state state;
    unsigned turn;  /* of the nodes that the endpoint names */
    int64_t due_ms; /* WAITING: of the next try; later states: the deadline */
    struct backoff backoff;
    struct guard guard;
    struct breaker_permit permit; /* of what was begun, until its commit */
    int64_t now_ms;               /* of the last turn or question */
    bool is_outage_told;
    h2o_hostinfo_getaddr_req_t *resolving;

    redisAsyncContext *context; /* hiredis frees it; on_cleanup forgets it */
    h2o_socket_t *socket;       /* on a dup() of hiredis's descriptor, which it closes itself */
    bool is_reading, wants_write, is_armed;
    bool is_lost; /* hiredis has given the connection up: the end of the turn settles it */
    struct error why;

    struct redis_batch *head, **tail; /* committed, in the order of their answers */
    size_t pending;
    struct error refusal;    /* of the transaction whose answers come now; kind NONE: so far none */
    struct redis_node moved; /* MOVED was; port 0: it was not */
};

/* The oldest transaction that waits: there is one. */
struct redis_batch *redis_loop_take(struct redis_loop *self);
