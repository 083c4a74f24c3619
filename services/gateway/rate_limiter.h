/*
 * rate_limiter.h — token buckets for very many callers in a table of fixed size
 *
 * Why:     the limit is the caller's, not a loop's: its connections are spread over the loops, so
 *          all of them take from one bucket. A bucket is one number, the instant at which it is
 *          full again (the virtual scheduling form of a token bucket), and is moved by
 *          compare-and-set: no lock, no timer that fills buckets.
 * Cost:    a request needs one token; what it turns out to cost beyond that (the events of a batch)
 *          is charged afterwards and may take the bucket below nothing, so that a batch is never
 *          too large for a bucket, and its sender waits the longer.
 * Table:   sets of RATE_WAYS places; a caller's set follows from its hash under a random secret, so
 *          nobody can choose whom to meet. A full bucket holds no knowledge and gives its place to
 *          whoever comes. When no bucket of the set is full, the newcomer takes the fullest one as
 *          it is, level included. So many addresses cannot wash a drained bucket away: the drained
 *          ones are the last to go, and a caller that comes back gets no more than the least
 *          drained of its set has left. Under such a flood a set shares its tokens.
 * Races:   two loops that look at one place at the same moment may charge a bucket that has just
 *          changed hands, or make a second one for a caller: a token too much or too little.
 * Units:   now_ms is monotonic; rates are tokens a second.
 * Memory:  16 bytes a place, made at the opening.
 * Threads: any.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RATE_WAYS = 8 };

struct rate {
    int64_t rps;   /* 0: no limit */
    int64_t burst; /* the bucket's size; 0: as much as rps */
};

struct rate_verdict {
    bool is_allowed;
    bool has_evicted;  /* another caller's bucket that was not full has been taken */
    int64_t wait_ms;   /* until a token is there; 0 when allowed */
    int64_t remaining; /* whole tokens */
    int64_t full_ms;   /* until the bucket is full */
};

struct rate_limiter;

struct rate_limiter *rate_limiter_new(size_t places_max, struct error *err);
void rate_limiter_free(struct rate_limiter **limiter);
size_t rate_limiter_places(const struct rate_limiter *limiter);      /* rounded up to whole sets */
size_t rate_limiter_places_used(const struct rate_limiter *limiter); /* have ever been taken */

/* id names the caller: an address, the name of a key. The hash stays the same for the process. */
uint64_t rate_limiter_hash(const struct rate_limiter *limiter, const void *id, size_t size_bytes);

/* One token, if it is there. */
struct rate_verdict rate_limiter_take(struct rate_limiter *limiter, uint64_t hash,
                                      const struct rate *rate, int64_t now_ms);
/* tokens more, whether they are there or not. */
void rate_limiter_charge(struct rate_limiter *limiter, uint64_t hash, const struct rate *rate,
                         int64_t tokens, int64_t now_ms);
