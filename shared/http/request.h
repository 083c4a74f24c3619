/*
 * request.h — what the http layer knows about a request besides h2o
 *
 * Why:     the route, the start and the id of a request are needed by the answer, the metrics and
 *          the logs; h2o_req_t has no field for them, so they hang on its environment.
 * Memory:  lives in the request's pool; everything in it is borrowed from the request.
 * Threads: the loop thread that owns the request.
 */
#pragma once

#include "http/routes.h"
#include <stdbool.h>
#include <stdint.h>

#define REQUEST_NDJSON "application/x-ndjson"

enum { REQUEST_ID_MAX = 64 };

struct request {
    struct route_match match; /* route NULL: no route answers it */
    size_t path_index;        /* the path's row in the route table's metrics */
    int64_t started_us;       /* monotonic; the body had been read by then */
    h2o_iovec_t id;           /* X-Request-Id: 1 to REQUEST_ID_MAX of [A-Za-z0-9._-] */
    h2o_iovec_t origin;       /* the Origin header; len 0: none */
    h2o_iovec_t content_type; /* without its parameters; len 0: none */
    bool is_encoded;          /* Content-Encoding names something else than identity */
    bool is_head;
    const void *caller; /* the server's owner's: what on_admit has learned; NULL: nothing */
};

/* Made before the handler runs; reads the headers once. */
struct request *request_new(h2o_req_t *req, int64_t now_us);

/* NULL: h2o refused the request before it came to a handler. */
struct request *request_of(h2o_req_t *req);

/* Content-Type without its parameters, in any case. */
bool request_has_type(const struct request *request, const char *type);

/* What follows the "?"; empty when there is none. */
h2o_iovec_t request_query(const h2o_req_t *req);
