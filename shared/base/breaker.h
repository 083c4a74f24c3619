/*
 * breaker.h — stops calling a dependency that keeps failing
 *
 * Why:     waiting on a dead peer costs every caller its timeout; refusing at once keeps our own
 *          latency flat and lets the peer come back.
 * Shape:   one struct per dependency, embedded in its owner; allocates nothing. An attempt is a
 *          permit, the call, and a report. State changes are told to on_change, at the moment.
 * Units:   times are monotonic milliseconds and are passed in, never read here, so that a test
 *          moves the clock by adding a number.
 * Errors:  none: breaker_allow answers yes or no.
 * Threads: one owner thread; no locks inside.
 *
 *   CLOSED --failed, slow, unreachable, misconfigured--> OPEN --cooldown, reconnected--> HALF_OPEN
 *      ^---------------------------- 3 successes in a row --------------------------------/  |
 *                                OPEN <-- one failure, or a permit that nobody answered -----/
 *
 * A permit carries its generation, which every change of state ends: an answer of an earlier one
 * counts for nothing.
 */
#pragma once

#include "base/backoff.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATE_COUNT };

enum breaker_result {
    BREAKER_SUCCESS,         /* the peer answered, even if it refused what we asked */
    BREAKER_FAILURE,         /* an error of the peer, or no answer in time */
    BREAKER_CONNECT_FAILURE, /* there was nobody to ask */
    BREAKER_CONFIGURATION,   /* it refuses what only a person can mend: once is enough to open */
    BREAKER_RESULT_COUNT,
};

enum breaker_reason {
    BREAKER_REASON_FAILED,        /* too many attempts failed */
    BREAKER_REASON_SLOW,          /* too many attempts were slow */
    BREAKER_REASON_CONNECT,       /* connection failures in a row */
    BREAKER_REASON_CONFIGURATION, /* one refusal that only a person can mend */
    BREAKER_REASON_COOLDOWN,      /* has been open for long enough */
    BREAKER_REASON_RECONNECT,     /* a connection came back by itself */
    BREAKER_REASON_TRIAL,         /* the trial call failed */
    BREAKER_REASON_EXPIRED,       /* the trial call was never answered */
    BREAKER_REASON_RECOVERED,     /* the trial calls succeeded */
    BREAKER_REASON_COUNT
};

enum { BREAKER_BUCKETS = 10 };

struct breaker_options {
    int64_t bucket_ms;         /* the window is BREAKER_BUCKETS of these */
    int attempts_min;          /* in the window, before its shares mean anything */
    int failed_percent;        /* opens at this share of failed attempts */
    int slow_percent;          /* opens at this share of slow attempts */
    int64_t slow_ms;           /* an attempt over this is slow */
    int connect_failures_max;  /* in a row; opens without regard to attempts_min */
    int64_t cooldown_base_ms;  /* of the first opening; doubles with each reopening */
    int64_t cooldown_cap_ms;   /* the actual wait is rand(0.5..1) of min(cap, doubled base) */
    int64_t cooldown_reset_ms; /* closed for so long: the next opening is a first one again */
    int64_t permit_ms;         /* half-open: an unanswered trial is a failure after this */
    int successes_to_close;
    size_t ramp_first, ramp_second; /* batch limits after closing; then unlimited */
    int retries_max;                /* of one piece of work */
    int64_t retry_base_ms, retry_cap_ms;
    int retry_tokens_max;    /* a retry costs one */
    int retry_earned_tenths; /* tenths of a token that a success earns */
};

/* The contract's numbers; slow_ms and permit_ms usually come from settings. */
struct breaker_options breaker_default_options(void);

struct breaker_permit {
    uint64_t generation;
    uint64_t serial;
    int64_t since_ms;
};

struct breaker_change {
    enum breaker_state from, to;
    enum breaker_reason reason;
    int64_t at_ms;
    int64_t cooldown_ms; /* only into OPEN */
};
typedef void (*breaker_change_fn)(void *ctx, const struct breaker_change *change);

struct breaker_bucket {
    int64_t index; /* now_ms / bucket_ms of what it holds */
    int attempts, failed, slow;
};

struct breaker {
    struct breaker_options options;
    enum breaker_state state;
    uint64_t generation;
    int64_t latest_ms; /* time never runs backwards in here */
    int64_t entered_ms;
    struct breaker_bucket buckets[BREAKER_BUCKETS];
    int connect_failures;
    int openings; /* since the last reset: the k of the cooldown */
    int64_t cooldown_ms;
    uint64_t last_serial;
    bool is_trial_out; /* half-open: the one permit is with the caller */
    int64_t trial_ends_ms;
    int trial_successes;
    int ramp_stage;
    int tokens_tenths;
    int64_t open_total_ms; /* of openings that are over */
    struct random random;
    breaker_change_fn on_change;
    void *ctx;
};

/* on_change may be NULL; it must not call the breaker. */
void breaker_init(struct breaker *self, const struct breaker_options *options, uint64_t seed,
                  int64_t now_ms, breaker_change_fn on_change, void *ctx);

/* True when a call may be made now: then report or cancel it. While HALF_OPEN, one at a time. */
bool breaker_allow(struct breaker *self, int64_t now_ms, struct breaker_permit *out_permit);
void breaker_report(struct breaker *self, const struct breaker_permit *permit,
                    enum breaker_result result, int64_t now_ms);
/* There was nothing to try after all: as if the permit had never been asked for. */
void breaker_cancel(struct breaker *self, const struct breaker_permit *permit, int64_t now_ms);

/* A connection came back by itself: OPEN becomes HALF_OPEN without waiting for the cooldown. */
void breaker_reconnected(struct breaker *self, int64_t now_ms);

/* Makes the changes that only time makes, and returns the state after them. */
enum breaker_state breaker_step(struct breaker *self, int64_t now_ms);
/* How long until breaker_allow can say yes; 0: now. */
int64_t breaker_wait_ms(const struct breaker *self, int64_t now_ms);

/* How many messages the next attempt may take: 0 while OPEN, 1 while HALF_OPEN, then the ramp. */
size_t breaker_batch_limit(const struct breaker *self, size_t full);

/*
 * Asks to try the same work again: retry counts from 0. True takes a token; the caller then sleeps
 * for *out_wait_ms and asks for a permit like everybody.
 */
bool breaker_take_retry(struct breaker *self, int retry, int64_t *out_wait_ms);
double breaker_retry_tokens(const struct breaker *self);

/* Total time in OPEN, for a counter. */
int64_t breaker_open_ms(const struct breaker *self, int64_t now_ms);

const char *breaker_state_name(enum breaker_state state);    /* "half_open" */
const char *breaker_reason_name(enum breaker_reason reason); /* "cooldown" */
