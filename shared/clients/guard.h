/*
 * guard.h — a circuit breaker that tells what it does
 *
 * Why:     every dependency of every service stands behind a breaker, and who is on call wants to
 *          see them all alike: the same metrics and the same log line, from one place.
 * Shape:   struct breaker with a name; guard_x stands for breaker_x where something is to be told.
 *          What needs no telling (wait, batch limit, retry) is asked of guard.breaker itself.
 *          Breakers of one dependency add up: breaker_state counts how many are in which state.
 * Units:   monotonic milliseconds, passed in.
 * Threads: as struct breaker, one owner; the metrics are the process's.
 */
#pragma once

#include "base/breaker.h"
#include "base/error.h"

enum guard_dependency { GUARD_NATS, GUARD_POSTGRES, GUARD_REDIS, GUARD_DEPENDENCY_COUNT };

struct guard {
    struct breaker breaker;
    enum guard_dependency dependency;
    const char *what;    /* uses the dependency for this: "publish", "store"; borrowed */
    unsigned place;      /* of several alike: the partition, the thread */
    int64_t told_open_s; /* of breaker_open_ms, as counted */
    int64_t told_tokens; /* whole ones, as shown */
    bool is_shown;       /* in the gauges; until guard_end */
};

struct guard_options {
    enum guard_dependency dependency;
    const char *what;
    unsigned place;
    struct breaker_options breaker;
};

/* In place: the breaker tells its changes to this address. */
void guard_init(struct guard *self, const struct guard_options *options, uint64_t seed,
                int64_t now_ms);
/* Out of the gauges; may be called for one that was never init, but zeroed. */
void guard_end(struct guard *self);

bool guard_allow(struct guard *self, int64_t now_ms, struct breaker_permit *out_permit);
void guard_report(struct guard *self, const struct breaker_permit *permit,
                  enum breaker_result result, int64_t now_ms);
void guard_reconnected(struct guard *self, int64_t now_ms);
/* Also shows how long it has been open, and its tokens: call it now and then. */
enum breaker_state guard_step(struct guard *self, int64_t now_ms);
bool guard_take_retry(struct guard *self, int retry, int64_t *out_wait_ms);
bool guard_is_open(const struct guard *self);

/* What came of a call says this of the peer. A broken deployment counts as its failure: asking more
 * often does not mend it. */
enum breaker_result guard_judge(enum error_kind kind);
