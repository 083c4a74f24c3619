/*
 * server.h — h2o with our limits: listeners, loop threads, connection count, drain
 *
 * Shape:   N threads, each with its own loop, h2o context and SO_REUSEPORT listener. The owner's
 *          hooks run on each thread: on_thread_start before the first request, on_turn after every
 *          turn of the loop (the moment to flush a batch), on_thread_stop when everything has been
 *          answered or the drain's time is over.
 * Limits:  connections_max over all threads, and the process's file descriptors (more are turned
 *          away with 503), body_max_bytes, request_timeout_ms for a whole request from its first
 *          byte (slow loris; looked for once a second) and, as TCP_USER_TIMEOUT, for a reader that
 *          is stuck. An answer may take as long as its owner likes: h2o has no timer while one is
 *          pending.
 * Errors:  ERROR_UNAVAILABLE names host:port when another process has it; an error of
 *          on_thread_start is passed on.
 * Threads: open, drain and close on the owner's thread.
 */
#pragma once

#include "base/error.h"
#include <h2o.h>
#include <stdatomic.h>
#include <stdint.h>

struct cors;
struct http_metrics;
struct route;
struct route_table;
struct service;

struct server_thread {
    h2o_context_t h2o; /* first: server_thread_of casts */
    int index;
    int64_t at_ms;  /* Unix ms, read once a turn */
    int64_t now_ms; /* monotonic ms, read once a turn */
    void *app;      /* the owner's per-thread state, set by on_thread_start */
    struct server *server;
    /* the rest is private to server.c */
    struct server_thread_private *private;
};

struct server_options {
    const char *host; /* "0.0.0.0", "::" or an address */
    int port;
    int threads;
    int connections_max;
    size_t body_max_bytes;
    int request_timeout_ms;
    int idle_timeout_ms;        /* keep-alive; ends up to request_timeout_ms later */
    int drain_ms;               /* connections that are still open then are closed */
    struct service *service;    /* borrowed; beats and readiness */
    const struct route *routes; /* borrowed, ends with {.path = NULL} */
    const char *cors_origins;   /* borrowed for the call: "", "*" or a comma list of origins */
    void *ctx;                  /* given to the hooks */
    /* Asked once for every request that has a route, before its body is looked at; NULL: all are
     * admitted. False: it has answered. What it knows of the caller it may leave in the request. */
    bool (*on_admit)(void *ctx, h2o_req_t *req, const struct route *route);
    bool (*on_thread_start)(void *ctx, struct server_thread *thread, struct error *err);
    void (*on_turn)(void *ctx, struct server_thread *thread);
    bool (*on_idle)(
        void *ctx,
        struct server_thread *thread); /* draining: true when nothing of the owner's is under way */
    void (*on_thread_stop)(void *ctx, struct server_thread *thread);
};

struct server *server_open(const struct server_options *options, struct error *err);
/* Stops accepting, lets requests under way finish within drain_ms, stops the threads. */
void server_drain(struct server *server);
void server_close(struct server **server);

static inline struct server_thread *server_thread_of(h2o_req_t *req)
{
    return (struct server_thread *)req->conn->ctx;
}

/* Reads the clocks again when the loop has slept since they were read. Request handlers find them
 * fresh; any other callback of the loop (a message, a socket) calls it before it uses them. */
void server_thread_refresh(struct server_thread *thread);

/* What on_admit says. */
bool server_admits(h2o_req_t *req, const struct route *route);

int server_connections(const struct server *server);
int server_port(const struct server *server); /* the one in use, when options.port was 0 */
const struct cors *server_cors(const struct server *server);
const struct route_table *server_routes(const struct server *server);
