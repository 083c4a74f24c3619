/*
 * gate.h — the way to the database: its breaker, its connection, and the pace of retries
 *
 * Why:     whoever asks a database that fails waits for its timeouts; whoever asks it again at once
 *          keeps it down. Each call stands between gate_ask and gate_answer.
 * Shape:   one a partition, embedded in its ingest. Its breaker is told of by clients/guard.h.
 * Units:   monotonic milliseconds, read here.
 * Errors:  gate_ask: ERROR_UNAVAILABLE while the breaker is open, or what connecting failed with.
 * Limits:  three retries of one piece of work, each paid with a token of the breaker.
 * Threads: one owner thread.
 */
#pragma once

#include "base/backoff.h"
#include "base/error.h"
#include "clients/guard.h"
#include "session.h"
#include <stddef.h>

struct pg;

struct gate {
    struct pg *pg; /* borrowed */
    uint32_t partition;
    struct session session;
    struct guard guard;
    bool is_unreachable;   /* the last try to connect failed */
    struct backoff knocks; /* spaces the tries to connect while the breaker is open */
    int64_t knock_ms;      /* when the next of them is due */
    int retries;           /* since the last success */
    int64_t retry_ms;      /* not before */
};

struct gate_options {
    uint32_t partition;
    int64_t slow_ms; /* a call over this is slow for the breaker */
    int lock_ms;     /* the server's lock_timeout */
};

/* In place: the breaker tells its changes to this address. pg is borrowed until gate_end. */
void gate_init(struct gate *self, const struct gate_options *options, struct pg *pg);
void gate_end(struct gate *self);

/* True: connected and allowed; then gate_answer is called, whatever came of it. */
MUST_CHECK bool gate_ask(struct gate *self, struct breaker_permit *out_permit, struct error *err);
/* Returns is_done; err says what went wrong when it is false. */
bool gate_answer(struct gate *self, const struct breaker_permit *permit, bool is_done,
                 const struct error *err);

/* The work itself, not just a question, has succeeded. */
void gate_settle(struct gate *self);
/*
 * Whether the same work may be tried once more, after gate_wait_ms: the server answered, so it has
 * stored nothing, and a token was left. The failure is logged then.
 */
bool gate_take_retry(struct gate *self, const struct error *err);

/*
 * How long until gate_ask may be called: the jitter before a retry, or the breaker's cooldown. A
 * database that could not be reached is knocked at meanwhile: a connection ends the cooldown.
 */
int64_t gate_wait_ms(struct gate *self);
bool gate_is_open(const struct gate *self); /* the breaker is open: nobody may ask */
/* How many messages a transaction may take; 0: the breaker is open. */
size_t gate_batch_limit(const struct gate *self, size_t full);
