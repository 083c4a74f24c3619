#include "fake_publisher.h"

#include <assert.h>
#include <string.h>

void publisher_on_done(struct publisher *self, publish_done_fn on_done, void *ctx)
{
    self->on_done = on_done;
    self->on_done_ctx = ctx;
}

bool publisher_is_up(const struct publisher *self)
{
    return self->is_up;
}

bool publisher_is_lost(const struct publisher *self)
{
    return self->is_lost;
}

void publisher_send(struct publisher *self, struct batch *batch, int64_t now_ms)
{
    (void)now_ms;
    assert(self->sent_count < FAKE_SENT_MAX);
    self->sent[self->sent_count++] = batch;
}

void publisher_abandon(struct publisher *self)
{
    while (self->sent_count > 0)
        fake_publisher_settle(self, BATCH_UNAVAILABLE);
}

void fake_publisher_settle(struct publisher *self, enum batch_outcome outcome)
{
    struct batch *batch = self->sent[0];

    assert(self->sent_count > 0);
    self->sent_count--;
    memmove(self->sent, self->sent + 1, self->sent_count * sizeof(self->sent[0]));
    self->on_done(self->on_done_ctx, batch, outcome);
}
