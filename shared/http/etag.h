/*
 * etag.h — an answer that is not sent again to who has it
 *
 * Why:     catalogues and documents change seldom and are asked for often.
 * Memory:  the tag is written into the request's pool.
 * Threads: the loop thread that owns the request.
 */
#pragma once

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

/* Sets ETag, and Cache-Control so that caches ask each time; true: the client has this version, and
 * 304 has been answered. */
bool etag_respond_unchanged(h2o_req_t *req, uint64_t version);
