/*
 * respond.h — the ways to answer
 *
 * Why:     every answer has Content-Length, X-Request-Id (the caller's if it is 1-64 of
 *          [A-Za-z0-9._-], else a new one) and the CORS headers of an allowed origin.
 * Errors:  none: without memory for a problem's text its status and headers alone are sent.
 * Memory:  a problem is written into the request's pool; a body that the caller gives is not
 *          copied and must live as long as the request (req->pool or static).
 * Threads: the loop thread that owns the request.
 */
#pragma once

#include "event/decode.h"
#include <h2o.h>

void respond_json(h2o_req_t *req, int status, h2o_iovec_t body);
void respond_bytes(h2o_req_t *req, int status, const char *content_type, h2o_iovec_t body);
void respond_empty(h2o_req_t *req, int status);

/* application/problem+json by RFC 9457, with every fault; status from the first one.
 * 429 and 503 carry Retry-After: retry_after_s. */
void respond_faults(h2o_req_t *req, const struct faults *faults, int retry_after_s);
void respond_fault(h2o_req_t *req, enum fault_code code, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* In an answer that h2o has begun by itself: its status and headers become the problem's. Returns
 * the body that belongs to them, in the request's pool. */
h2o_iovec_t respond_instead(h2o_req_t *req, const struct faults *faults);
