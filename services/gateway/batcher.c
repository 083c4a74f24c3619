#include "batcher.h"

#include "base/auto.h"
#include "keeper.h"
#include "ledger.h"
#include "metrics.h"
#include "publisher.h"

#include <string.h>

/* The server counts a message's headers into its max_payload. */
enum { MESSAGE_HEADERS_MAX = 512 };

/* Why a batch goes to the keeper; index of hand_on_names. */
enum hand_on { HAND_ON_AWAY, HAND_ON_WAITED, HAND_ON_LATE, HAND_ON_REFUSED, HAND_ON_CUT };

struct lane {
    struct batch *growing;
    struct batch *queue_head, **queue_tail; /* closed, oldest first */
    size_t queue_bytes;
    size_t inflight; /* at the publisher */
    size_t keeping;  /* at the keeper, without a verdict */
    struct ledger *ledger;
    int64_t told_ms; /* the stream was last told something; or a heartbeat was last thought of */
    int64_t beat_ms; /* from then to the next heartbeat */
};

struct batcher {
    struct batcher_options options;
    struct publisher *publisher; /* borrowed */
    struct keeper *keeper;       /* borrowed */
    struct batch_pool pool;
    size_t bytes_max; /* of a batch now: the server may take less than the pool's batches hold */
    size_t queued_bytes;
    size_t unsettled; /* batches without a verdict */
    struct lane lanes[];
};

/* The path of a batch; the definitions follow in this order. */
static bool close_growing(struct batcher *self, struct lane *lane);
static void stamp_deadlines(struct batcher *self, struct lane *lane, int64_t now_ms);
static void send_lane(struct batcher *self, struct lane *lane, int64_t now_ms, int64_t at_ms);
static struct batch *take_next(struct batcher *self, struct lane *lane);
static void give_number(struct batcher *self, struct lane *lane, struct batch *batch,
                        bool is_for_stream, int64_t at_ms);
static void send(struct batcher *self, struct lane *lane, struct batch *batch, int64_t now_ms,
                 int64_t at_ms);
static void on_published(void *ctx, struct batch *batch, enum publish_end end, int64_t now_ms);
static void hand_on(struct batcher *self, struct batch *batch, enum hand_on why, int64_t now_ms);
static void on_kept(void *ctx, struct batch *batch, enum batch_outcome outcome);
static void settle(struct batcher *self, struct batch *batch, enum batch_outcome outcome);
static void on_released(void *ctx, struct batch *batch);
static void finish(struct batcher *self, struct batch *batch, enum batch_outcome outcome);

struct batcher *batcher_new(const struct batcher_options *options, struct publisher *publisher,
                            struct keeper *keeper, struct error *err)
{
    AUTO(batcher_free)
    struct batcher *self = calloc(1, sizeof(*self) + options->partitions * sizeof(struct lane));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "batcher: no memory for %u lanes", options->partitions);
        return NULL;
    }
    self->options = *options;
    self->publisher = publisher;
    self->keeper = keeper;
    self->bytes_max = options->batch_bytes;
    batch_pool_init(&self->pool, options->batch_bytes);
    for (uint32_t i = 0; i < options->partitions; i++) {
        self->lanes[i].queue_tail = &self->lanes[i].queue_head;
        self->lanes[i].beat_ms = HEARTBEAT_MS;
        self->lanes[i].ledger = ledger_new();
        if (self->lanes[i].ledger == NULL) {
            (void)error_set(err, ERROR_LIMIT, "batcher: no memory for %u ledgers",
                            options->partitions);
            return NULL;
        }
    }
    publisher_on_done(publisher, on_published, self);
    keeper_on(keeper, &(struct keeper_events){self, on_kept, on_released});
    return TAKE(self);
}

void batcher_free(struct batcher **batcher)
{
    struct batcher *self = *batcher;

    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->options.partitions; i++) {
        struct lane *lane = &self->lanes[i];
        struct batch *batch;

        while (lane->queue_tail != NULL && (batch = take_next(self, lane)) != NULL) {
            settle(self, batch, BATCH_UNAVAILABLE);
            batch_pool_return(&self->pool, batch);
        }
        ledger_free(&lane->ledger);
    }
    batch_pool_free(&self->pool);
    free(self);
    *batcher = NULL;
}

bool batcher_add(struct batcher *self, const struct event *event, struct ticket *ticket,
                 struct error *err)
{
    uint32_t partition = event_partition(event->ad_id, event->ad_id_size, self->options.partitions);
    struct lane *lane = &self->lanes[partition];

    if (lane->growing != NULL && batch_add(lane->growing, self->bytes_max, event, ticket))
        return true;
    if (!close_growing(self, lane))
        return error_set(err, ERROR_LIMIT, "too many events wait to be kept");
    lane->growing = batch_pool_take(&self->pool, partition);
    if (lane->growing == NULL)
        return error_set(err, ERROR_LIMIT, "no memory for another batch");
    self->unsettled++;
    return batch_add(lane->growing, self->bytes_max, event, ticket) ||
           error_set(err, ERROR_LIMIT, "no room for an event in a batch");
}

/* False: the queue has no room. */
static bool close_growing(struct batcher *self, struct lane *lane)
{
    struct batch *batch = lane->growing;

    if (batch == NULL)
        return true;
    if (lane->queue_bytes + batch->size_bytes > self->options.queue_bytes)
        return false;
    *lane->queue_tail = batch;
    lane->queue_tail = &batch->next;
    lane->queue_bytes += batch->size_bytes;
    self->queued_bytes += batch->size_bytes;
    lane->growing = NULL;
    return true;
}

void batcher_flush(struct batcher *self, int64_t now_ms, int64_t at_ms)
{
    if (self->unsettled == 0)
        return;
    for (uint32_t i = 0; i < self->options.partitions; i++) {
        stamp_deadlines(self, &self->lanes[i], now_ms);
        send_lane(self, &self->lanes[i], now_ms, at_ms);
    }
}

static void stamp(const struct batcher *self, struct batch *batch, int64_t now_ms)
{
    batch->stream_until_ms = now_ms + self->options.stream_ms;
    batch->deadline_ms = now_ms + self->options.verdict_ms;
}

/* The clock is read once a turn, after the handlers: a batch's time starts at its first turn's end.
 * Queued batches were closed since the last turn, newest last, so unstamped ones are at the tail.
 */
static void stamp_deadlines(struct batcher *self, struct lane *lane, int64_t now_ms)
{
    if (lane->growing != NULL && lane->growing->deadline_ms == 0)
        stamp(self, lane->growing, now_ms);
    for (struct batch *batch = lane->queue_head; batch != NULL; batch = batch->next) {
        if (batch->deadline_ms == 0)
            stamp(self, batch, now_ms);
    }
}

static bool has_batch(const struct lane *lane)
{
    return lane->queue_head != NULL || lane->growing != NULL;
}

/* Without the linger a fast disk would be given an event a batch, which a replay is slow with. */
static bool may_keep(const struct batcher *self, const struct lane *lane, int64_t now_ms)
{
    const struct batch *growing = lane->growing;
    bool is_ripe = lane->queue_head != NULL || growing == NULL ||
                   now_ms - (growing->stream_until_ms - self->options.stream_ms) >= KEEP_LINGER_MS;

    return is_ripe && lane->keeping < LANE_KEEPING_MAX;
}

static void send_lane(struct batcher *self, struct lane *lane, int64_t now_ms, int64_t at_ms)
{
    while (has_batch(lane) && ledger_has_room(lane->ledger, false)) {
        bool has_place = lane->inflight < self->options.inflight_max;
        enum publisher_answer answer = publisher_ask(self->publisher, has_place, now_ms);
        struct batch *batch;

        if (answer == PUBLISHER_WAITS ||
            (answer == PUBLISHER_IS_AWAY && !may_keep(self, lane, now_ms)))
            return;
        batch = take_next(self, lane);
        if (answer == PUBLISHER_TAKES) {
            send(self, lane, batch, now_ms, at_ms);
        } else {
            give_number(self, lane, batch, false, at_ms);
            hand_on(self, batch, HAND_ON_AWAY, now_ms);
        }
    }
}

/* The oldest batch of the lane that was not sent yet. */
static struct batch *take_next(struct batcher *self, struct lane *lane)
{
    struct batch *batch = lane->queue_head;

    if (batch == NULL)
        return TAKE(lane->growing);
    lane->queue_head = batch->next;
    if (lane->queue_head == NULL)
        lane->queue_tail = &lane->queue_head;
    lane->queue_bytes -= batch->size_bytes;
    self->queued_bytes -= batch->size_bytes;
    batch->next = NULL;
    return batch;
}

static void give_number(struct batcher *self, struct lane *lane, struct batch *batch,
                        bool is_for_stream, int64_t at_ms)
{
    struct codec_header header = {
        .thread = self->options.thread,
        .partition = batch->partition,
        .sent_at_ms = at_ms,
    };

    memcpy(header.gateway_id, self->options.gateway_id, sizeof(header.gateway_id));
    ledger_open_number(lane->ledger, (uint32_t)batch->count, is_for_stream, &header);
    batch->number = header.batch_no;
    batch->size_bytes += codec_append_header(batch->bytes + batch->size_bytes, &header);
}

static void send(struct batcher *self, struct lane *lane, struct batch *batch, int64_t now_ms,
                 int64_t at_ms)
{
    give_number(self, lane, batch, true, at_ms);
    lane->told_ms = now_ms;
    lane->inflight++;
    gateway_count(GATEWAY_batches_inflight, 1);
    publisher_send(self->publisher, batch, now_ms);
}

static void on_published(void *ctx, struct batch *batch, enum publish_end end, int64_t now_ms)
{
    struct batcher *self = ctx;

    self->lanes[batch->partition].inflight--;
    gateway_count(GATEWAY_batches_inflight, -1);
    switch (end) {
    case PUBLISH_STORED:
        finish(self, batch, BATCH_STORED);
        return;
    case PUBLISH_IMPOSSIBLE: /* no replay could publish it either */
        finish(self, batch, BATCH_UNAVAILABLE);
        return;
    case PUBLISH_LATE:
        hand_on(self, batch, HAND_ON_LATE, now_ms);
        return;
    case PUBLISH_REFUSED:
        hand_on(self, batch, HAND_ON_REFUSED, now_ms);
        return;
    case PUBLISH_CUT:
        hand_on(self, batch, HAND_ON_CUT, now_ms);
        return;
    }
}

/* A heartbeat promises nothing to anybody: it is not worth keeping. */
static void hand_on(struct batcher *self, struct batch *batch, enum hand_on why, int64_t now_ms)
{
    if (batch->count == 0) {
        finish(self, batch, BATCH_UNAVAILABLE);
        return;
    }
    gateway_count_by(GATEWAY_batches_handed_on_total, why, 1);
    self->lanes[batch->partition].keeping++;
    keeper_keep(self->keeper, batch, now_ms);
}

static void on_kept(void *ctx, struct batch *batch, enum batch_outcome outcome)
{
    struct batcher *self = ctx;

    self->lanes[batch->partition].keeping--;
    settle(self, batch, outcome);
}

static void count_promised(const struct batch *batch)
{
    for (size_t type = 0; type < EVENT_TYPE_COUNT; type++)
        if (batch->by_type[type] > 0)
            gateway_count_by(GATEWAY_events_accepted_total, type, batch->by_type[type]);
    for (size_t reason = EVENT_VALID + 1; reason < EVENT_REASON_COUNT; reason++)
        if (batch->by_reason[reason] > 0)
            gateway_count_by(GATEWAY_events_invalid_total, reason - 1, batch->by_reason[reason]);
}

/* A heartbeat that is not stored parts the ranges of the batches kept before and after it, and the
 * ledger has room for so many. */
static void note_beat(struct lane *lane, const struct batch *batch, enum batch_outcome outcome)
{
    if (outcome == BATCH_STORED)
        lane->beat_ms = HEARTBEAT_MS;
    else if (batch->count == 0)
        lane->beat_ms = 2 * lane->beat_ms < HEARTBEAT_MAX_MS ? 2 * lane->beat_ms : HEARTBEAT_MAX_MS;
}

static void settle(struct batcher *self, struct batch *batch, enum batch_outcome outcome)
{
    static const enum ledger_fate fates[BATCH_OUTCOME_COUNT] = {
        [BATCH_STORED] = LEDGER_STORED,
        [BATCH_KEPT] = LEDGER_SPOOLED,
        [BATCH_UNAVAILABLE] = LEDGER_ABANDONED,
    };

    self->unsettled--;
    note_beat(&self->lanes[batch->partition], batch, outcome);
    if (batch->number != 0)
        ledger_settle(self->lanes[batch->partition].ledger, batch->number, fates[outcome]);
    if (batch->count == 0) {
        gateway_count_by(GATEWAY_heartbeats_total, outcome == BATCH_STORED ? 0 : 1, 1);
        return;
    }
    if (batch->number != 0 && outcome == BATCH_UNAVAILABLE)
        gateway_count(GATEWAY_batches_abandoned_total, 1);
    gateway_observe(GATEWAY_batch_events, (double)batch->count);
    if (batch_is_promised(outcome))
        count_promised(batch);
    batch_tell(batch, outcome);
}

static void on_released(void *ctx, struct batch *batch)
{
    struct batcher *self = ctx;

    batch_pool_return(&self->pool, batch);
}

/* Of a batch that nobody else has. */
static void finish(struct batcher *self, struct batch *batch, enum batch_outcome outcome)
{
    settle(self, batch, outcome);
    batch_pool_return(&self->pool, batch);
}

/* A lane's batches are in the order of their deadlines, the growing one last. One that has waited
 * for the stream's whole time goes to the keeper; without room in the ledger it has no number to go
 * under, and waits for its verdict. */
static void expire_lane(struct batcher *self, struct lane *lane, int64_t now_ms, int64_t at_ms)
{
    for (;;) {
        struct batch *oldest = lane->queue_head != NULL ? lane->queue_head : lane->growing;

        if (oldest == NULL || oldest->deadline_ms == 0 || oldest->stream_until_ms > now_ms)
            return;
        if (ledger_has_room(lane->ledger, false)) {
            give_number(self, lane, take_next(self, lane), false, at_ms);
            hand_on(self, oldest, HAND_ON_WAITED, now_ms);
        } else if (oldest->deadline_ms <= now_ms) {
            gateway_count(GATEWAY_batches_expired_total, 1);
            finish(self, take_next(self, lane), BATCH_UNAVAILABLE);
        } else {
            return;
        }
    }
}

/* False: nobody would hear it now. */
static bool send_heartbeat(struct batcher *self, uint32_t partition, int64_t now_ms, int64_t at_ms)
{
    struct lane *lane = &self->lanes[partition];
    struct batch *batch;

    if (lane->inflight > 0 || !ledger_has_room(lane->ledger, true) ||
        publisher_ask(self->publisher, true, now_ms) != PUBLISHER_TAKES)
        return false;
    batch = batch_pool_take(&self->pool, partition);
    if (batch == NULL) {
        publisher_decline(self->publisher, now_ms);
        return false;
    }
    self->unsettled++;
    stamp(self, batch, now_ms);
    send(self, lane, batch, now_ms, at_ms);
    return true;
}

/* Without traffic the breaker would stay half-open for ever: then the first lane tries it. */
static void beat_lane(struct batcher *self, uint32_t partition, int64_t now_ms, int64_t at_ms)
{
    struct lane *lane = &self->lanes[partition];
    bool is_trial = partition == 0 && publisher_wants_trial(self->publisher);
    int64_t wait_ms = is_trial ? HEARTBEAT_RETRY_MS : lane->beat_ms;

    if (now_ms - lane->told_ms < wait_ms || !(is_trial || ledger_has_news(lane->ledger)))
        return;
    if (!send_heartbeat(self, partition, now_ms, at_ms))
        lane->told_ms = now_ms - wait_ms + HEARTBEAT_RETRY_MS;
}

void batcher_tick(struct batcher *self, int64_t now_ms, int64_t at_ms)
{
    for (uint32_t i = 0; i < self->options.partitions; i++) {
        if (self->unsettled > 0)
            expire_lane(self, &self->lanes[i], now_ms, at_ms);
        beat_lane(self, i, now_ms, at_ms);
    }
}

void batcher_farewell(struct batcher *self, int64_t now_ms, int64_t at_ms)
{
    for (uint32_t i = 0; i < self->options.partitions; i++) {
        if (ledger_has_news(self->lanes[i].ledger))
            (void)send_heartbeat(self, i, now_ms, at_ms);
    }
}

void batcher_hand_over(struct batcher *self, int64_t now_ms, int64_t at_ms)
{
    publisher_abandon(self->publisher, now_ms);
    for (uint32_t i = 0; i < self->options.partitions; i++) {
        struct lane *lane = &self->lanes[i];

        stamp_deadlines(self, lane, now_ms);
        while (has_batch(lane) && ledger_has_room(lane->ledger, false)) {
            struct batch *batch = take_next(self, lane);

            give_number(self, lane, batch, false, at_ms);
            hand_on(self, batch, HAND_ON_CUT, now_ms);
        }
    }
}

void batcher_set_payload_max(struct batcher *self, size_t payload_max)
{
    size_t room = MESSAGE_HEADERS_MAX + CODEC_HEADER_MAX;
    size_t events_max = payload_max > room + CODEC_EVENT_MAX ? payload_max - room : CODEC_EVENT_MAX;

    self->bytes_max =
        events_max < self->options.batch_bytes ? events_max : self->options.batch_bytes;
}

bool batcher_is_idle(const struct batcher *self)
{
    return self->unsettled == 0;
}

size_t batcher_queued_bytes(const struct batcher *self)
{
    return self->queued_bytes;
}

size_t batcher_ranges(const struct batcher *self)
{
    size_t ranges = 0;

    for (uint32_t i = 0; i < self->options.partitions; i++)
        ranges += ledger_ranges(self->lanes[i].ledger);
    return ranges;
}
