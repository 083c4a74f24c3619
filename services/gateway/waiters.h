/*
 * waiters.h — requests that wait for one result
 *
 * Why:     a client may go away while its answer is being asked for; its request is then gone.
 * Memory:  a waiter lives in its request's pool and leaves the list by itself when the request is
 *          disposed of.
 * Threads: the loop's.
 */
#pragma once

#include "base/text.h"

#include <h2o.h>
#include <stdbool.h>

struct waiters {
    h2o_linklist_t list;
};

struct waiter {
    h2o_linklist_t link; /* first: the list casts */
    h2o_req_t *req;
    const void *spec; /* the owner's, in the request's pool */
    int shape;
};

void waiters_init(struct waiters *waiters);
/* spec is copied into the request's pool. */
void waiters_add(struct waiters *waiters, h2o_req_t *req, int shape, const void *spec,
                 size_t spec_size);
/* The oldest, taken off the list; NULL: nobody waits. */
struct waiter *waiters_take(struct waiters *waiters);
bool waiters_is_empty(const struct waiters *waiters);

/* A copy of the text for answers to share; the caller releases it (h2o_mem_release_shared). */
h2o_iovec_t waiters_share(const struct text *text);
/* 200 with such a body; the request takes a reference of its own. */
void waiters_respond(h2o_req_t *req, h2o_iovec_t body);
