/*
 * inbox_link.h — one way to PostgreSQL's inbox: a connection behind a circuit breaker
 *
 * Why:     the line that writes and the replayer that reads have a connection each, and both must
 *          not pay a frozen PostgreSQL's deadline with every batch.
 * Shape:   inbox_link_ask gives a permit with a connection that commits to disk; whatever came of
 *          it goes to inbox_link_answer.
 * Errors:  ERROR_UNAVAILABLE while the breaker is open or nobody answers.
 * Memory:  embedded in its owner.
 * Threads: one owner thread.
 */
#pragma once

#include "clients/guard.h"
#include "clients/pg.h"

struct inbox_link {
    struct pg *pg;
    struct guard guard;
};

/* what: the use of it, for logs; borrowed. */
MUST_CHECK bool inbox_link_open(struct inbox_link *self, const char *what,
                                const struct pg_options *options, struct error *err);
void inbox_link_close(struct inbox_link *self);

MUST_CHECK bool inbox_link_ask(struct inbox_link *self, struct breaker_permit *out_permit,
                               struct error *err);
/* Returns is_done. */
bool inbox_link_answer(struct inbox_link *self, const struct breaker_permit *permit, bool is_done,
                       const struct error *err);
