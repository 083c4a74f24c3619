/*
 * routes.h — the table from method and path to a handler
 *
 * Why:     a handler sees only requests that are its own: path, method, size and type are checked.
 * Memory:  a table's rows and strings are borrowed for the life of the server.
 * Limits:  ROUTE_PARAMS_MAX segments a path; each row's body_max_bytes.
 *
 * A path is literal text with {name} segments: "/api/v1/ads/{id}". HEAD is answered by GET's
 * handler without the body. A known path with another method is 405 with Allow, OPTIONS a CORS
 * preflight. Then the server's owner is asked whether this caller may (on_admit, see server.h);
 * then a body over the route's limit is 413, of an unaccepted type 415; then the handler runs.
 * Every request is counted by route and status class, and timed.
 */
#pragma once

#include <h2o.h>
#include <stddef.h>

enum { ROUTE_PARAMS_MAX = 3 };

struct route_match {
    const struct route *route;
    h2o_iovec_t params[ROUTE_PARAMS_MAX]; /* the {segments}, percent-decoded, in order; borrowed
                                             from the request */
};

typedef void (*route_fn)(h2o_req_t *req, const struct route_match *match);

enum route_flag {
    ROUTE_BODY_JSON = 1,   /* takes a body: application/json, text/plain, form type or none */
    ROUTE_BODY_NDJSON = 2, /* and application/x-ndjson */
    /* Who may ask; a route with none of these is open to everybody. */
    ROUTE_COLLECT = 4, /* records events: open, or a key that may collect */
    ROUTE_READ = 8,    /* numbers: open unless the settings ask for a key that may read */
    ROUTE_SERVER = 16, /* always a server's or an admin's key */
    ROUTE_ADMIN = 32,  /* always an admin's key */
    ROUTE_OPS = 64,    /* asked by monitors: never guarded and never limited */
};

struct route {
    const char *method; /* "GET" */
    const char *path;
    route_fn handle;
    size_t body_max_bytes; /* 0: no body is expected; one that comes is ignored */
    unsigned flags;
};

struct http_metrics;
struct route_table;

/* Puts the table in front of every path of the host. Both are borrowed until the host's
 * configuration is disposed of. */
void routes_register(h2o_hostconf_t *host, const struct route_table *table,
                     struct http_metrics *metrics);
