/*
 * trim.h — what may go from the stream
 *
 * Why:    the stream is a log that we trim ourselves: below what both stores have, and never inside
 *         the dedup window, or a late copy of a removed message would be taken for a new one.
 * Shape:  a ring of samples "at this moment both stores were at least here". What was stored before
 *         a sample that is older than the window is older than the window, too; the server's clock
 *         does not matter. After a start it takes one window until the first trim.
 * Units:  monotonic milliseconds, passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRIM_SAMPLES_MAX = 64 };

struct trim_sample {
    uint64_t seq;
    int64_t now_ms;
};

struct trim {
    int64_t window_ms;
    struct trim_sample samples[TRIM_SAMPLES_MAX]; /* oldest at head */
    size_t head, count;
};

void trim_init(struct trim *trim, int64_t window_ms);
/* Both stores are at seq or beyond. Samples closer than window / TRIM_SAMPLES_MAX are left out. A
 * store that has gone back (a backup was restored) needs its messages again: the samples go. */
void trim_sample(struct trim *trim, uint64_t seq, int64_t now_ms);
/* True: every message below out_below may go. It takes the samples that it used. */
bool trim_take(struct trim *trim, int64_t now_ms, uint64_t *out_below);
