/*
 * trim.h — what may go from the stream
 *
 * Why:    the stream is a log that we trim ourselves: below what both stores have, and never inside
 *         the dedup window, or a late copy of a removed message would be taken for a new one.
 * Shape:  a ring of samples "at this moment the stream ended here". What was in it at a sample that
 *         is older than the window is older than the window, too; the server's clock does not
 *         matter. After a start it takes one window until the first trim.
 * Units:  monotonic milliseconds, passed in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { TRIM_SAMPLES_MAX = 64 };

struct trim_sample {
    uint64_t last_seq;
    int64_t now_ms;
};

struct trim {
    int64_t window_ms;
    uint64_t aged_seq;                            /* older than the window; 0: nothing known */
    struct trim_sample samples[TRIM_SAMPLES_MAX]; /* oldest at head */
    size_t head, count;
};

void trim_init(struct trim *trim, int64_t window_ms);
/* The stream ends with last_seq. Samples closer than window / TRIM_SAMPLES_MAX are left out. A
 * stream that has gone back was made anew or restored: what was known of it is forgotten. */
void trim_sample(struct trim *trim, uint64_t last_seq, int64_t now_ms);
/* Every message below the answer may go, when both stores have both_seq and all before it. */
uint64_t trim_below(struct trim *trim, uint64_t both_seq, int64_t now_ms);
