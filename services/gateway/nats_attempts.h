/*
 * nats_attempts.h — tries something that blocks in libnats, on a thread of its own, until it has
 * worked
 *
 * Why:     libnats connects blocking, and a loop must not wait for a server.
 * Shape:   attempt, wait with jitter, attempt, and so on without an end but close; then on_end.
 * Errors:  only opening can fail; an attempt that failed is logged as `event`, once per kind of
 *          failure.
 * Threads: open, hurry and close on one thread; attempt and on_end are called on the other.
 */
#pragma once

#include "base/error.h"

struct nats_attempts;

struct nats_attempts_options {
    const char *event; /* of the log; borrowed, as is name */
    const char *name;  /* the connection's */
    bool (*attempt)(void *ctx, struct error *err);
    void (*on_end)(void *ctx); /* whether it has worked or was ended; NULL: nothing is to be told */
    void *ctx;
};

struct nats_attempts *nats_attempts_open(const struct nats_attempts_options *options,
                                         struct error *err);
/* There is to be no other attempt; may be called again. */
void nats_attempts_hurry(struct nats_attempts *self);
/* Waits for an attempt that is under way. */
void nats_attempts_close(struct nats_attempts **attempts);
