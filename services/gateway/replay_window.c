#include "replay_window.h"

void replay_window_init(struct replay_window *self, int64_t queued_max_ms)
{
    *self = (struct replay_window){.queued_max_ms = queued_max_ms,
                                   .size = REPLAY_WINDOW_FIRST,
                                   .threshold = REPLAY_WINDOW_MAX,
                                   .shortest_ms = INT64_MAX,
                                   .previous_ms = INT64_MAX};
}

/* Learns from an answer's time. Returns how much of it was a queue's. */
static int64_t take_time(struct replay_window *self, int64_t took_ms, int64_t now_ms)
{
    int64_t age_ms = now_ms - self->period_ms;

    if (age_ms >= REPLAY_BASE_MS) {
        self->period_ms = now_ms;
        self->previous_ms = age_ms / 2 < REPLAY_BASE_MS ? self->shortest_ms : INT64_MAX;
        self->shortest_ms = INT64_MAX;
    }
    if (took_ms < self->shortest_ms)
        self->shortest_ms = took_ms;
    return took_ms -
           (self->previous_ms < self->shortest_ms ? self->previous_ms : self->shortest_ms);
}

static size_t half(size_t size)
{
    return size / 2 > 1 ? size / 2 : 1;
}

static void shrink(struct replay_window *self, size_t size)
{
    self->threshold = half(self->size);
    self->size = size;
    self->answers = 0;
}

static void grow(struct replay_window *self)
{
    if (self->size >= REPLAY_WINDOW_MAX)
        return;
    if (self->size >= self->threshold && ++self->answers < self->size)
        return;
    self->size++;
    self->answers = 0;
}

void replay_window_answered(struct replay_window *self, int64_t sent_ms, int64_t now_ms,
                            bool was_full)
{
    int64_t queued_ms = take_time(self, now_ms - sent_ms, now_ms);

    if (queued_ms <= self->queued_max_ms) {
        if (was_full)
            grow(self);
        return;
    }
    if (sent_ms < self->cut_ms)
        return;
    shrink(self, half(self->size));
    self->cut_ms = now_ms;
}

void replay_window_silent(struct replay_window *self)
{
    if (self->size > 1) /* the second silence in a row says nothing new */
        shrink(self, 1);
}
