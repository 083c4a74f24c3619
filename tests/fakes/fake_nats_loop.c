#include "fake_nats_loop.h"

#include <assert.h>
#include <stdio.h>

bool nats_loop_publish(struct nats_loop *self, const struct nats_message *message,
                       struct error *err)
{
    struct fake_published *published = &self->published[self->count];

    if (self->fail_with != ERROR_NONE)
        return error_set(err, self->fail_with, "fake: publish");
    assert(self->count < FAKE_PUBLISHED_MAX);
    (void)snprintf(published->subject, sizeof(published->subject), "%s", message->subject);
    (void)snprintf(published->token, sizeof(published->token), "%s", message->token);
    (void)snprintf(published->message_id, sizeof(published->message_id), "%s", message->message_id);
    published->size_bytes = message->size_bytes;
    self->count++;
    return true;
}
