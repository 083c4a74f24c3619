/*
 * backoff.h — how long to wait before the next try: full jitter
 *
 * Why:     peers that failed together must not come back together. The n-th wait is random between
 *          0 and min(cap, base * 2^n), but never below floor_ms, so that no loop spins.
 * Shape:   embedded in its owner; the random source is a small generator that the owner seeds, so
 *          that a test knows every wait.
 * Units:   milliseconds.
 * Limits:  no wait is longer than cap_ms.
 * Threads: one owner thread.
 */
#pragma once

#include <stdint.h>

/* splitmix64: not for secrets. Any seed is good. */
struct random {
    uint64_t state;
};
/* Uniform from min to max, both included; min <= max. */
int64_t random_between(struct random *random, int64_t min, int64_t max);

/* min(cap, base * 2^doublings): the top of the wait after so many failures before this one. */
int64_t backoff_top_ms(int64_t base_ms, int64_t cap_ms, int doublings);

struct backoff {
    int64_t base_ms, cap_ms, floor_ms;
    int attempts; /* failures in a row */
    struct random random;
};

void backoff_init(struct backoff *backoff, int64_t base_ms, int64_t cap_ms, uint64_t seed);
/* The wait after one more failure. */
int64_t backoff_next_ms(struct backoff *backoff);
void backoff_reset(struct backoff *backoff); /* it worked: begin at base again */
