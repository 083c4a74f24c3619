/*
 * gateway.h — what the gateway's process and each of its loop threads own
 *
 * Threads: struct gateway is made before the loops and read by all of them; what changes in it is
 *          atomic. A struct gateway_thread belongs to its loop; handlers reach it by
 *          gateway_thread_of(req).
 */
#pragma once

#include "base/error.h"
#include "event/visitor.h"
#include "http/routes.h"
#include "http/server.h"
#include <stdatomic.h>

struct access; /* who may do what, at one moment */
struct admission;
struct auditor;
struct catalogue;
struct catalogue_snapshot;
struct collector; /* the lanes: batcher and publisher */
struct control;
struct decoder;
struct keep_line;
struct keep_lines;
struct query_pool;
struct query; /* the Redis connection, its caches, the way to PostgreSQL */
struct service;
struct settings;

enum { GATEWAY_ID_BYTES = 16 };

struct gateway {
    const struct settings *settings; /* borrowed for the life of the process */
    struct service *service;         /* borrowed */
    struct catalogue *catalogue;     /* owned */
    struct admission *admission;     /* borrowed: who may, and how often */
    struct control *control;         /* owned */
    struct keep_lines *keep_lines;   /* owned: spool, inbox, and the replayer that empties them */
    struct keep_line *spool, *inbox; /* borrowed of keep_lines */
    struct query_pool *query_pool;   /* owned: PostgreSQL's threads for analytics */
    struct query_pool *proof_pool;   /* owned: the one for receipts, audits and dead letters */
    struct auditor *auditor;         /* owned */
    struct zones *zones;             /* owned; the loops share it */
    uint8_t id[GATEWAY_ID_BYTES];    /* this life of the process */
    atomic_int loops_connected;      /* to NATS */
    atomic_int loops_streaming;      /* connected, and their breaker is closed */
    atomic_int queries_connected;    /* to Redis */
};

struct gateway_thread {
    struct gateway *gateway;
    struct server_thread *server;
    const struct settings *settings;            /* borrowed for the life of the process */
    const struct catalogue_snapshot *catalogue; /* owned reference; swapped at the end of a turn */
    const struct access *access;                /* likewise */
    size_t rate_limit_clients;                  /* as the gauge shows it */
    struct decoder *decoder;                    /* owned */
    struct collector *collector;                /* owned */
    struct query *query;                        /* owned */
    int64_t salt_day;                           /* Unix day of salt; -1: to be asked for */
    uint8_t salt[VISITOR_SALT_SIZE];
    int64_t queued_bytes, ledger_ranges; /* its part of the gateway's */
    bool has_redis;                      /* counted in queries_connected */
    bool has_stream;                     /* counted in loops_streaming */
};

/* The parts that serve all loops: the catalogue, the lines of keeping and the control thread. */
MUST_CHECK bool gateway_open(struct gateway *gateway, const struct settings *settings,
                             struct service *service, struct admission *admission,
                             struct error *err);
void gateway_close(struct gateway *gateway);

/* What server_options wants of its owner: ctx is the struct gateway. */
bool gateway_on_thread_start(void *ctx, struct server_thread *thread, struct error *err);
void gateway_on_turn(void *ctx, struct server_thread *thread);
bool gateway_on_idle(void *ctx, struct server_thread *thread);
void gateway_on_thread_stop(void *ctx, struct server_thread *thread);

/* The gateway's route table. */
extern const struct route gateway_routes[];

static inline struct gateway_thread *gateway_thread_of(h2o_req_t *req)
{
    return server_thread_of(req)->app;
}
