/*
 * guarded.h — a connection whose every call stands behind a breaker
 *
 * Why:     a client that is used in many places (queries of a repair, pages of a rebuild) cannot
 *          ask its breaker in each of them; the client does it, call by call.
 * Shape:   embedded in struct redis and struct pg; without a guard it lets everything through. A
 *          server that could not be reached is knocked at while the breaker is open: a connection
 *          ends the cooldown. One that was reached and did not answer is left alone until then.
 * Units:   monotonic milliseconds, read here.
 * Limits:  a knock every GUARDED_KNOCK_MAX_MS at most, with jitter.
 * Threads: one owner thread, the connection's and the guard's.
 */
#pragma once

#include "base/backoff.h"
#include "base/breaker.h"
#include <stdbool.h>

struct guard;

enum { GUARDED_KNOCK_MIN_MS = 100, GUARDED_KNOCK_MAX_MS = 1000 };

struct guarded {
    struct guard *guard; /* borrowed; NULL: none */
    bool is_unreachable; /* the last try to connect failed */
    int64_t knock_ms;    /* when the next of them is due */
    struct backoff knocks;
};

void guarded_init(struct guarded *self, struct guard *guard);

/* Whether a call may be made; then guarded_tell is called. reach connects and proves it; it must
 * call guarded_note_reach. */
bool guarded_ask(struct guarded *self, bool (*reach)(void *ctx), void *ctx,
                 struct breaker_permit *out_permit);
void guarded_note_reach(struct guarded *self, bool is_reached);
/* What the call says of the server; a failure to connect is told apart here. */
void guarded_tell(struct guarded *self, const struct breaker_permit *permit,
                  enum breaker_result result);
