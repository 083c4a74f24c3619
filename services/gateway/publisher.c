#include "publisher.h"

#include "ack.h"
#include "base/auto.h"
#include "clients/bus.h"
#include "clients/guard.h"
#include "metrics.h"
#include "nats_loop.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REFUSED_WAIT_MS = 100, GATEWAY_ID_SIZE = 16 };

struct slot {
    struct batch *batch; /* NULL: free */
    uint32_t generation; /* of the batch in it: grows with each */
    struct breaker_permit permit;
    bool was_heard;     /* something was answered, if only a refusal */
    bool is_impossible; /* larger than the server takes */
};

struct publisher {
    struct publisher_options options;
    struct nats_loop *nats; /* borrowed */
    publish_done_fn on_done;
    void *on_done_ctx;
    char id_hex[2 * GATEWAY_ID_SIZE + 1];
    bool is_up;
    struct guard guard;
    struct breaker_permit permit; /* for the next publisher_send */
    int64_t elected_ms; /* a stream's leader that the breaker is still to be told of; or 0 */
    size_t used_count;
    struct slot slots[];
};

/* The path of a batch; the definitions follow in this order. */
static void attempt(struct publisher *self, size_t slot, int64_t now_ms);
static struct slot *find_slot(struct publisher *self, const char *token);
static void refuse(struct publisher *self, struct slot *slot, const struct ack *ack,
                   int64_t now_ms);
static void finish(struct publisher *self, struct slot *slot, enum publish_end end, int64_t now_ms);

static void open_guard(struct publisher *self)
{
    struct guard_options options = {.dependency = GUARD_NATS,
                                    .what = "publish",
                                    .place = self->options.thread,
                                    .breaker = breaker_default_options()};
    uint64_t seed;

    memcpy(&seed, self->options.gateway_id + GATEWAY_ID_SIZE - sizeof(seed), sizeof(seed));
    options.breaker.slow_ms = self->options.slow_ms;
    options.breaker.permit_ms = self->options.permit_ms;
    guard_init(&self->guard, &options, seed + self->options.thread, clock_now_ms());
}

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
    open_guard(self);
    return self;
}

void publisher_free(struct publisher **publisher)
{
    if (*publisher != NULL)
        guard_end(&(*publisher)->guard);
    free(*publisher);
    *publisher = NULL;
}

void publisher_on_done(struct publisher *self, publish_done_fn on_done, void *ctx)
{
    self->on_done = on_done;
    self->on_done_ctx = ctx;
}

bool publisher_is_well(const struct publisher *self)
{
    return self->is_up && self->guard.breaker.state == BREAKER_CLOSED;
}

bool publisher_wants_trial(const struct publisher *self)
{
    return self->is_up && self->guard.breaker.state == BREAKER_HALF_OPEN;
}

/* Without a connection the attempt has failed before it began: three of these open the breaker. */
static bool is_reachable(struct publisher *self, int64_t now_ms)
{
    struct breaker_permit permit;

    if (!self->is_up && guard_allow(&self->guard, now_ms, &permit))
        guard_report(&self->guard, &permit, BREAKER_CONNECT_FAILURE, now_ms);
    return self->is_up;
}

enum publisher_answer publisher_ask(struct publisher *self, bool has_place, int64_t now_ms)
{
    bool is_closed = guard_step(&self->guard, now_ms) == BREAKER_CLOSED;
    size_t limit = breaker_batch_limit(&self->guard.breaker, self->options.slots_max);

    if (!is_reachable(self, now_ms))
        return PUBLISHER_IS_AWAY;
    if (!has_place || self->used_count >= self->options.slots_max)
        return is_closed ? PUBLISHER_WAITS : PUBLISHER_IS_AWAY;
    if (is_closed && self->used_count >= limit)
        return PUBLISHER_WAITS;
    return guard_allow(&self->guard, now_ms, &self->permit) ? PUBLISHER_TAKES : PUBLISHER_IS_AWAY;
}

void publisher_send(struct publisher *self, struct batch *batch, int64_t now_ms)
{
    size_t index = 0;
    struct slot *slot;

    while (self->slots[index].batch != NULL) /* publisher_ask has seen a free one */
        index++;
    slot = &self->slots[index];
    *slot =
        (struct slot){.batch = batch, .generation = slot->generation + 1, .permit = self->permit};
    self->used_count++;
    batch->sent_ms = now_ms;
    attempt(self, index, now_ms);
    gateway_count(GATEWAY_batches_sent_total, 1);
}

void publisher_decline(struct publisher *self, int64_t now_ms)
{
    breaker_cancel(&self->guard.breaker, &self->permit, now_ms);
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
    batch->is_retry_paid = false;
    if (nats_loop_publish(self->nats, &message, &err))
        return;
    gateway_count(GATEWAY_publish_errors_total, 1);
    log_debug("publish_failed", "partition=%u batch=%llu why=\"%s\"", batch->partition,
              (unsigned long long)batch->number, err.text);
    if (err.kind == ERROR_INVALID)
        self->slots[slot].is_impossible = true; /* the next tick gives it up */
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
        finish(self, slot, PUBLISH_STORED, now_ms);
        return;
    case ACK_REFUSED:
        refuse(self, slot, &ack, now_ms);
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

static void refuse(struct publisher *self, struct slot *slot, const struct ack *ack, int64_t now_ms)
{
    struct batch *batch = slot->batch;

    gateway_count(GATEWAY_batches_refused_total, 1);
    log_debug("batch_refused", "partition=%u batch=%llu err_code=%u", batch->partition,
              (unsigned long long)batch->number, ack->error_code);
    slot->was_heard = true;
    batch->attempt_k++;
    batch->retry_ms = now_ms + REFUSED_WAIT_MS;
    if (ack_is_final(ack->error_code))
        finish(self, slot, PUBLISH_REFUSED, now_ms);
}

/* What is full, or too large, is no fault of the peer. */
static enum breaker_result judge(const struct slot *slot, enum publish_end end)
{
    switch (end) {
    case PUBLISH_STORED:
    case PUBLISH_REFUSED:
    case PUBLISH_IMPOSSIBLE:
        return BREAKER_SUCCESS;
    case PUBLISH_LATE:
        return slot->was_heard ? BREAKER_FAILURE : BREAKER_CONNECT_FAILURE;
    case PUBLISH_CUT:
        return BREAKER_CONNECT_FAILURE;
    }
    return BREAKER_FAILURE;
}

static void finish(struct publisher *self, struct slot *slot, enum publish_end end, int64_t now_ms)
{
    struct batch *batch = TAKE(slot->batch);

    self->used_count--;
    guard_report(&self->guard, &slot->permit, judge(slot, end), now_ms);
    self->on_done(self->on_done_ctx, batch, end, now_ms);
}

/* A further try costs a token. Without one the first try's ack is waited for. */
static void try_again(struct publisher *self, size_t slot, int64_t now_ms)
{
    struct batch *batch = self->slots[slot].batch;
    int64_t wait_ms;

    if (batch->is_retry_paid) {
        attempt(self, slot, now_ms);
        return;
    }
    batch->is_retry_paid = guard_take_retry(&self->guard, (int)batch->tries - 1, &wait_ms);
    batch->retry_ms = batch->is_retry_paid ? now_ms + wait_ms : INT64_MAX;
}

static void tell_elected(struct publisher *self, int64_t now_ms)
{
    if (self->elected_ms == 0 || now_ms - self->elected_ms < self->options.permit_ms)
        return;
    self->elected_ms = 0;
    guard_reconnected(&self->guard, now_ms);
}

void publisher_tick(struct publisher *self, int64_t now_ms)
{
    tell_elected(self, now_ms);
    (void)guard_step(&self->guard, now_ms);
    for (size_t i = 0; self->used_count > 0 && i < self->options.slots_max; i++) {
        struct slot *slot = &self->slots[i];

        if (slot->batch == NULL)
            continue;
        if (slot->is_impossible)
            finish(self, slot, PUBLISH_IMPOSSIBLE, now_ms);
        else if (now_ms >= slot->batch->stream_until_ms)
            finish(self, slot, PUBLISH_LATE, now_ms);
        else if (now_ms >= slot->batch->retry_ms)
            try_again(self, i, now_ms);
    }
}

void publisher_abandon(struct publisher *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->options.slots_max; i++) {
        if (self->slots[i].batch != NULL)
            finish(self, &self->slots[i], PUBLISH_CUT, now_ms);
    }
}

void publisher_connected(struct publisher *self, int64_t now_ms)
{
    self->is_up = true;
    guard_reconnected(&self->guard, now_ms);
}

/* Acks of the old connection will not come any more: whoever waits for one is handed on at once. */
void publisher_disconnected(struct publisher *self, int64_t now_ms)
{
    self->is_up = false;
    publisher_abandon(self, now_ms);
}

void publisher_elected(struct publisher *self, int64_t now_ms)
{
    self->elected_ms = now_ms;
}

/* libnats keeps the reply's token to itself, so the batch is found by its silence: try_ms later it
 * is sent again, and by then the stream should be there. */
void publisher_unheard(struct publisher *self)
{
    gateway_count(GATEWAY_publish_unheard_total, 1);
    self->options.on_stream_missing(self->options.ctx);
}
