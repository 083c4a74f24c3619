#include "fake_publisher.h"

#include <assert.h>
#include <string.h>

void publisher_on_done(struct publisher *self, publish_done_fn on_done, void *ctx)
{
    self->on_done = on_done;
    self->on_done_ctx = ctx;
}

bool publisher_wants_trial(const struct publisher *self)
{
    return self->wants_trial;
}

enum publisher_answer publisher_ask(struct publisher *self, bool has_place, int64_t now_ms)
{
    (void)now_ms;
    if (self->is_away)
        return PUBLISHER_IS_AWAY;
    return has_place ? PUBLISHER_TAKES : PUBLISHER_WAITS;
}

void publisher_decline(struct publisher *self, int64_t now_ms)
{
    (void)self;
    (void)now_ms;
}

void publisher_send(struct publisher *self, struct batch *batch, int64_t now_ms)
{
    (void)now_ms;
    assert(self->sent_count < FAKE_SENT_MAX);
    self->sent[self->sent_count++] = batch;
}

void publisher_abandon(struct publisher *self, int64_t now_ms)
{
    while (self->sent_count > 0)
        fake_publisher_end(self, PUBLISH_CUT, now_ms);
}

void fake_publisher_end(struct publisher *self, enum publish_end end, int64_t now_ms)
{
    struct batch *batch = self->sent[0];

    assert(self->sent_count > 0);
    self->sent_count--;
    memmove(self->sent, self->sent + 1, self->sent_count * sizeof(self->sent[0]));
    self->on_done(self->on_done_ctx, batch, end, now_ms);
}
