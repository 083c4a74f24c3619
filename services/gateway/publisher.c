#include "publisher.h"

#include "ack.h"
#include "base/auto.h"
#include "clients/bus.h"
#include "metrics.h"
#include "nats_loop.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REFUSED_WAIT_MS = 100, GATEWAY_ID_SIZE = 16 };

struct slot {
    struct batch *batch; /* NULL: free */
    uint32_t generation; /* of the batch in it: grows with each */
};

struct publisher {
    struct publisher_options options;
    struct nats_loop *nats; /* borrowed */
    publish_done_fn on_done;
    void *on_done_ctx;
    char id_hex[2 * GATEWAY_ID_SIZE + 1];
    bool is_up, is_lost;
    int64_t down_since_ms; /* 0: not known yet */
    size_t used_count;
    struct slot slots[];
};

/* The path of a batch; the definitions follow in this order. */
static void attempt(struct publisher *self, size_t slot, int64_t now_ms);
static struct slot *find_slot(struct publisher *self, const char *token);
static void refuse(struct batch *batch, const struct ack *ack, int64_t now_ms);
static void finish(struct publisher *self, struct slot *slot, enum batch_outcome outcome);

struct publisher *publisher_new(const struct publisher_options *options, struct nats_loop *nats,
                                struct error *err)
{
    struct publisher *self = calloc(1, sizeof(*self) + options->slots_max * sizeof(struct slot));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "publisher: no memory for %zu slots", options->slots_max);
        return NULL;
    }
    self->options = *options;
    self->nats = nats;
    for (size_t i = 0; i < GATEWAY_ID_SIZE; i++)
        (void)snprintf(self->id_hex + 2 * i, 3, "%02x", options->gateway_id[i]);
    return self;
}

void publisher_free(struct publisher **publisher)
{
    free(*publisher);
    *publisher = NULL;
}

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
    size_t free_slot = 0;

    while (self->slots[free_slot].batch != NULL) /* slots_max covers every lane's batches */
        free_slot++;
    self->slots[free_slot].batch = batch;
    self->slots[free_slot].generation++;
    self->used_count++;
    batch->sent_ms = now_ms;
    attempt(self, free_slot, now_ms);
    gateway_count(GATEWAY_batches_sent_total, 1);
}

/* One try. When it fails at once, the next is due after the same wait as after silence. */
static void attempt(struct publisher *self, size_t slot, int64_t now_ms)
{
    struct batch *batch = self->slots[slot].batch;
    char subject[48], message_id[96], token[24];
    struct nats_message message = {subject, token, message_id, batch->bytes, batch->size_bytes};
    struct error err;

    stream_subject(batch->partition, subject);
    (void)snprintf(token, sizeof(token), "%zx-%" PRIx32, slot, self->slots[slot].generation);
    (void)snprintf(message_id, sizeof(message_id),
                   "%s.%" PRIu32 ".%" PRIu32 ".%" PRIu64 ".%" PRIu32, self->id_hex,
                   self->options.thread, batch->partition, batch->number, batch->attempt_k);
    if (batch->tries++ > 0)
        gateway_count(GATEWAY_batches_retried_total, 1);
    batch->retry_ms = now_ms + self->options.try_ms;
    if (nats_loop_publish(self->nats, &message, &err))
        return;
    gateway_count(GATEWAY_publish_errors_total, 1);
    log_debug("publish_failed", "partition=%u batch=%llu why=\"%s\"", batch->partition,
              (unsigned long long)batch->number, err.text);
    if (err.kind == ERROR_INVALID)
        batch->deadline_ms = now_ms; /* it will never be taken: the next tick gives it up */
}

void publisher_replied(struct publisher *self, const char *token, const char *bytes,
                       size_t size_bytes, int64_t now_ms)
{
    struct slot *slot = find_slot(self, token);
    char stream[32];
    struct ack ack;

    if (slot == NULL) {
        gateway_count(GATEWAY_acks_late_total, 1);
        return;
    }
    stream_name(slot->batch->partition, stream);
    ack = ack_parse(bytes, size_bytes, stream);
    switch (ack.verdict) {
    case ACK_STORED:
        gateway_count(GATEWAY_batches_stored_total, 1);
        gateway_observe(GATEWAY_publish_seconds, (double)(now_ms - slot->batch->sent_ms) / 1000.0);
        finish(self, slot, BATCH_STORED);
        return;
    case ACK_REFUSED:
        refuse(slot->batch, &ack, now_ms);
        return;
    case ACK_GARBLED:
        gateway_count(GATEWAY_acks_garbled_total, 1);
        log_warn("ack_garbled", "stream=%s bytes=\"%.*s\"", stream,
                 (int)(size_bytes < 200 ? size_bytes : 200), bytes);
        return; /* like silence: the batch is sent again */
    }
}

/* "<slot>-<generation>", both hexadecimal. NULL: the batch was settled before. */
static struct slot *find_slot(struct publisher *self, const char *token)
{
    char *end;
    unsigned long index = strtoul(token, &end, 16);
    unsigned long generation;

    if (end == token || *end != '-' || index >= self->options.slots_max)
        return NULL;
    generation = strtoul(end + 1, &end, 16);
    if (*end != '\0' || self->slots[index].batch == NULL ||
        self->slots[index].generation != generation)
        return NULL;
    return &self->slots[index];
}

static void refuse(struct batch *batch, const struct ack *ack, int64_t now_ms)
{
    gateway_count(GATEWAY_batches_refused_total, 1);
    log_debug("batch_refused", "partition=%u batch=%llu err_code=%u", batch->partition,
              (unsigned long long)batch->number, ack->error_code);
    batch->attempt_k++;
    batch->retry_ms = now_ms + REFUSED_WAIT_MS;
    if (ack_is_final(ack->error_code))
        batch->deadline_ms = now_ms;
}

static void finish(struct publisher *self, struct slot *slot, enum batch_outcome outcome)
{
    struct batch *batch = TAKE(slot->batch);

    self->used_count--;
    self->on_done(self->on_done_ctx, batch, outcome);
}

void publisher_tick(struct publisher *self, int64_t now_ms)
{
    if (!self->is_up && self->down_since_ms == 0)
        self->down_since_ms = now_ms;
    self->is_lost = !self->is_up && now_ms - self->down_since_ms >= self->options.lost_ms;
    for (size_t i = 0; self->used_count > 0 && i < self->options.slots_max; i++) {
        struct slot *slot = &self->slots[i];

        if (slot->batch == NULL)
            continue;
        if (now_ms >= slot->batch->deadline_ms) {
            gateway_count(GATEWAY_batches_abandoned_total, 1);
            finish(self, slot, BATCH_UNAVAILABLE);
        } else if (self->is_up && now_ms >= slot->batch->retry_ms) {
            attempt(self, i, now_ms);
        }
    }
}

void publisher_abandon(struct publisher *self)
{
    for (size_t i = 0; i < self->options.slots_max; i++) {
        if (self->slots[i].batch != NULL)
            finish(self, &self->slots[i], BATCH_UNAVAILABLE);
    }
}

/* Acks of the old connection will not come any more: everything is sent again at once. */
void publisher_connected(struct publisher *self, int64_t now_ms)
{
    self->is_up = true;
    self->is_lost = false;
    self->down_since_ms = 0;
    for (size_t i = 0; i < self->options.slots_max; i++) {
        if (self->slots[i].batch != NULL)
            attempt(self, i, now_ms);
    }
}

void publisher_disconnected(struct publisher *self, int64_t now_ms)
{
    if (self->is_up)
        self->down_since_ms = now_ms;
    self->is_up = false;
}

/* libnats keeps the reply's token to itself, so the batch is found by its silence: try_ms later it
 * is sent again, and by then the stream should be there. */
void publisher_unheard(struct publisher *self)
{
    gateway_count(GATEWAY_publish_unheard_total, 1);
    self->options.on_stream_missing(self->options.ctx);
}
