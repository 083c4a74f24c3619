/*
 * replay_window.h — how many replayed batches may be under way, so that live ones still get through
 *
 * Why:     a stream takes one message after another and syncs each. Whatever the replayer has under
 *          way stands in front of the next live batch; on a slow disk 64 of them took longer than
 *          PUBLISH_DEADLINE_MS, so that live batches went to the spool and were replayed in their
 *          turn: a backlog that never ended.
 * Shape:   TCP's slow start and congestion avoidance. An answer's time beyond the shortest of late
 *          (REPLAY_BASE_MS to twice that) is time in a queue. While it is short the window grows:
 *          by one an answer up to the threshold, by one a window beyond it. When it is longer than
 *          queued_max_ms the window is halved, once for all that was under way then.
 * Units:   monotonic milliseconds, passed in. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REPLAY_WINDOW_FIRST = 4,
    REPLAY_WINDOW_MAX = 64,
    REPLAY_BASE_MS = 10000,
};

struct replay_window {
    int64_t queued_max_ms;
    size_t size, threshold;
    size_t answers;                   /* since the last step beyond the threshold */
    int64_t cut_ms;                   /* what was sent before has been counted */
    int64_t period_ms;                /* began */
    int64_t shortest_ms, previous_ms; /* answers' times: in this period, in the one before */
};

void replay_window_init(struct replay_window *self, int64_t queued_max_ms);
/* was_full: it is the window that kept more from being sent. */
void replay_window_answered(struct replay_window *self, int64_t sent_ms, int64_t now_ms,
                            bool was_full);
/* Nothing of what is under way was answered. */
void replay_window_silent(struct replay_window *self);
