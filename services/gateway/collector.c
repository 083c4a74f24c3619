#include "collector.h"

#include "base/auto.h"
#include "http/server.h"
#include "keeper.h"
#include "metrics.h"
#include "nats_loop.h"
#include "publisher.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "settings.h"

#include <stdio.h>

enum {
    TICK_MS = 20,          /* how late a retry or a deadline may be */
    CONNECT_MS = 1000,     /* one try of the dialer */
    PERMIT_GRACE_MS = 100, /* a trial of the breaker ends by its batch, not by its own deadline */
    BUFFER_BATCHES = 4,    /* batches a lane that may wait for a server that does not read */
    CONNECTION_NAME_MAX = 48,
};

struct collector {
    struct collector_options options;
    char connection_name[CONNECTION_NAME_MAX];
    struct nats_loop *nats;
    struct publisher *publisher;
    struct keeper *keeper;
    struct batcher *batcher;
    h2o_multithread_receiver_t answers; /* wakes the loop for the keeper; carries no message */
    bool has_answers, has_said_farewell;
    h2o_timeout_t waker;       /* keeps the loop turning while a batch is under way */
    h2o_timeout_entry_t alarm; /* does nothing but end the loop's sleep */
    bool has_waker;
    int64_t ticked_ms; /* monotonic */
};

static void on_up(void *ctx, size_t payload_max);
static void on_down(void *ctx);
static void on_reply(void *ctx, const char *token, const char *bytes, size_t size_bytes);
static void on_leader(void *ctx);
static void on_unheard(void *ctx);

static void on_alarm(h2o_timeout_entry_t *alarm)
{
    (void)alarm; /* the loop is awake, and its turn ends in collector_turn */
}

static void on_answers(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver; /* the end of this turn asks the keeper */
    (void)messages;
}

/* On a thread of the lines. */
static void on_keeper_wake(void *ctx)
{
    struct collector *self = ctx;

    h2o_multithread_send_message(&self->answers, NULL);
}

static bool open_nats(struct collector *self, struct error *err)
{
    const struct settings *settings = self->options.settings;
    struct nats_loop_options options = {
        .bus = {.endpoint = settings->endpoints.live.nats,
                .name = self->connection_name,
                .connect_ms = CONNECT_MS,
                .request_ms = CONNECT_MS},
        .h2o = &self->options.thread->h2o,
        .buffer_max_bytes = (size_t)(settings->batch_bytes * settings->partitions * BUFFER_BATCHES),
        .events = {self, on_up, on_down, on_reply, on_leader, on_unheard},
    };

    (void)snprintf(self->connection_name, sizeof(self->connection_name), "adledger-gateway-%d",
                   self->options.thread->index);
    self->nats = nats_loop_open(&options, err);
    return self->nats != NULL;
}

static bool open_publisher(struct collector *self, struct error *err)
{
    const struct settings *settings = self->options.settings;
    const struct publisher_options options = {
        .gateway_id = self->options.gateway_id,
        .thread = (uint32_t)self->options.thread->index,
        .slots_max = (size_t)(settings->inflight_max * settings->partitions),
        .try_ms = settings->publish_try_ms,
        .slow_ms = settings->nats_slow_ms,
        .permit_ms = settings->publish_deadline_ms + PERMIT_GRACE_MS,
        .on_stream_missing = self->options.on_stream_missing,
        .ctx = self->options.ctx,
    };

    self->publisher = publisher_new(&options, self->nats, err);
    return self->publisher != NULL;
}

static bool open_keeper(struct collector *self, struct error *err)
{
    const struct keeper_options options = {
        .gateway_id = self->options.gateway_id,
        .thread = (uint32_t)self->options.thread->index,
        .lines = {[KEEP_SPOOL] = self->options.spool, [KEEP_INBOX] = self->options.inbox},
        .wake = on_keeper_wake,
        .ctx = self,
    };

    h2o_multithread_register_receiver(self->options.thread->h2o.queue, &self->answers, on_answers);
    self->has_answers = true;
    self->keeper = keeper_new(&options, err);
    return self->keeper != NULL;
}

static bool open_batcher(struct collector *self, struct error *err)
{
    const struct settings *settings = self->options.settings;
    const struct batcher_options options = {
        .gateway_id = self->options.gateway_id,
        .thread = (uint32_t)self->options.thread->index,
        .partitions = (uint32_t)settings->partitions,
        .inflight_max = (size_t)settings->inflight_max,
        .batch_bytes = (size_t)settings->batch_bytes,
        .queue_bytes = (size_t)settings->lane_queue_bytes,
        .stream_ms = settings->publish_deadline_ms,
        .verdict_ms = settings->keep_deadline_ms,
    };

    self->batcher = batcher_new(&options, self->publisher, self->keeper, err);
    return self->batcher != NULL;
}

struct collector *collector_open(const struct collector_options *options, struct error *err)
{
    AUTO(collector_close) struct collector *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "collector: no memory");
        return NULL;
    }
    self->options = *options;
    self->alarm.cb = on_alarm;
    h2o_timeout_init(options->thread->h2o.loop, &self->waker, TICK_MS);
    self->has_waker = true;
    if (!open_nats(self, err) || !open_publisher(self, err) || !open_keeper(self, err) ||
        !open_batcher(self, err))
        return NULL;
    return TAKE(self);
}

void collector_close(struct collector **collector)
{
    struct collector *self = *collector;

    if (self == NULL)
        return;
    if (self->batcher != NULL)
        batcher_hand_over(self->batcher, clock_now_ms(), clock_at_ms());
    keeper_close(&self->keeper); /* its last verdicts go to the batcher */
    if (self->has_answers)
        h2o_multithread_unregister_receiver(self->options.thread->h2o.queue, &self->answers);
    batcher_free(&self->batcher);
    nats_loop_close(&self->nats); /* its last report may still reach the publisher */
    publisher_free(&self->publisher);
    if (h2o_timeout_is_linked(&self->alarm))
        h2o_timeout_unlink(&self->alarm);
    if (self->has_waker)
        h2o_timeout_dispose(self->options.thread->h2o.loop, &self->waker);
    free(self);
    *collector = NULL;
}

struct batcher *collector_batcher(struct collector *self)
{
    return self->batcher;
}

static void on_up(void *ctx, size_t payload_max)
{
    struct collector *self = ctx;

    log_info("nats_connected", "thread=%d payload_max=%zu", self->options.thread->index,
             payload_max);
    gateway_count(GATEWAY_nats_connects_total, 1);
    batcher_set_payload_max(self->batcher, payload_max);
    publisher_connected(self->publisher, self->options.thread->now_ms);
    self->options.on_connected(self->options.ctx, true);
}

static void on_down(void *ctx)
{
    struct collector *self = ctx;

    log_warn("nats_disconnected", "thread=%d", self->options.thread->index);
    publisher_disconnected(self->publisher, self->options.thread->now_ms);
    self->options.on_connected(self->options.ctx, false);
}

static void on_reply(void *ctx, const char *token, const char *bytes, size_t size_bytes)
{
    struct collector *self = ctx;

    server_thread_refresh(self->options.thread);
    publisher_replied(self->publisher, token, bytes, size_bytes, self->options.thread->now_ms);
}

static void on_leader(void *ctx)
{
    struct collector *self = ctx;

    log_info("stream_leader_elected", "thread=%d", self->options.thread->index);
    publisher_elected(self->publisher, self->options.thread->now_ms);
}

static void on_unheard(void *ctx)
{
    struct collector *self = ctx;

    publisher_unheard(self->publisher);
}

void collector_turn(struct collector *self)
{
    const struct server_thread *thread = self->options.thread;

    nats_loop_turn(self->nats);
    keeper_turn(self->keeper, thread->now_ms);
    if (thread->now_ms - self->ticked_ms >= TICK_MS) {
        self->ticked_ms = thread->now_ms;
        publisher_tick(self->publisher, thread->now_ms);
        batcher_tick(self->batcher, thread->now_ms, thread->at_ms);
        keeper_tick(self->keeper, thread->now_ms);
    }
    batcher_flush(self->batcher, thread->now_ms, thread->at_ms);
    nats_loop_flush(self->nats);
    if (!batcher_is_idle(self->batcher) && !h2o_timeout_is_linked(&self->alarm))
        h2o_timeout_link(thread->h2o.loop, &self->waker, &self->alarm);
}

bool collector_leave(struct collector *self)
{
    const struct server_thread *thread = self->options.thread;

    if (!batcher_is_idle(self->batcher))
        return false;
    if (!self->has_said_farewell) {
        self->has_said_farewell = true;
        batcher_farewell(self->batcher, thread->now_ms, thread->at_ms);
        nats_loop_flush(self->nats);
    }
    return batcher_is_idle(self->batcher);
}

bool collector_is_streaming(const struct collector *self)
{
    return publisher_is_well(self->publisher);
}

size_t collector_queued_bytes(const struct collector *self)
{
    return batcher_queued_bytes(self->batcher);
}

size_t collector_ranges(const struct collector *self)
{
    return batcher_ranges(self->batcher);
}
