#include "batcher.h"

#include "base/auto.h"
#include "metrics.h"
#include "publisher.h"

#include <string.h>

/* The server counts a message's headers into its max_payload. */
enum { MESSAGE_HEADERS_MAX = 512 };

struct lane {
    struct batch *growing;
    struct batch *queue_head, **queue_tail; /* closed, oldest first */
    size_t queue_bytes;
    size_t inflight;
    uint64_t last_number;
    uint64_t accepted;
    uint64_t *numbers; /* [inflight_max] of the batches in flight; 0: free */
};

struct batcher {
    struct batcher_options options;
    struct publisher *publisher; /* borrowed */
    struct batch_pool pool;
    size_t bytes_max; /* of a batch now: the server may take less than the pool's batches hold */
    size_t queued_bytes;
    uint64_t *numbers; /* of all lanes */
    struct lane lanes[];
};

/* The path of a batch; the definitions follow in this order. */
static bool close_growing(struct batcher *self, struct lane *lane);
static void stamp_deadlines(struct batcher *self, struct lane *lane, int64_t now_ms);
static void send_lane(struct batcher *self, struct lane *lane, int64_t now_ms, int64_t at_ms);
static struct batch *take_next(struct batcher *self, struct lane *lane);
static void send(struct batcher *self, struct lane *lane, struct batch *batch, int64_t now_ms,
                 int64_t at_ms);
static void on_published(void *ctx, struct batch *batch, enum batch_outcome outcome);
static void settle(struct batcher *self, struct batch *batch, enum batch_outcome outcome);

struct batcher *batcher_new(const struct batcher_options *options, struct publisher *publisher,
                            struct error *err)
{
    AUTO(batcher_free)
    struct batcher *self = calloc(1, sizeof(*self) + options->partitions * sizeof(struct lane));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "batcher: no memory for %u lanes", options->partitions);
        return NULL;
    }
    self->options = *options;
    self->publisher = publisher;
    self->bytes_max = options->batch_bytes;
    batch_pool_init(&self->pool, options->batch_bytes);
    self->numbers = calloc(options->partitions * options->inflight_max, sizeof(*self->numbers));
    if (self->numbers == NULL) {
        (void)error_set(err, ERROR_LIMIT, "batcher: no memory for %u lanes", options->partitions);
        return NULL;
    }
    for (uint32_t i = 0; i < options->partitions; i++) {
        self->lanes[i].queue_tail = &self->lanes[i].queue_head;
        self->lanes[i].numbers = self->numbers + i * options->inflight_max;
    }
    publisher_on_done(publisher, on_published, self);
    return TAKE(self);
}

void batcher_free(struct batcher **batcher)
{
    struct batcher *self = *batcher;

    if (self == NULL)
        return;
    if (self->publisher != NULL)
        publisher_abandon(self->publisher);
    for (uint32_t i = 0; self->numbers != NULL && i < self->options.partitions; i++) {
        struct lane *lane = &self->lanes[i];
        struct batch *batch;

        while ((batch = take_next(self, lane)) != NULL)
            settle(self, batch, BATCH_UNAVAILABLE);
    }
    batch_pool_free(&self->pool);
    free(self->numbers);
    free(self);
    *batcher = NULL;
}

bool batcher_add(struct batcher *self, const struct event *event, struct ticket *ticket,
                 struct error *err)
{
    uint32_t partition = event_partition(event->ad_id, event->ad_id_size, self->options.partitions);
    struct lane *lane = &self->lanes[partition];

    if (publisher_is_lost(self->publisher))
        return error_set(err, ERROR_UNAVAILABLE, "the event stream cannot be reached");
    if (lane->growing != NULL && batch_add(lane->growing, self->bytes_max, event, ticket))
        return true;
    if (!close_growing(self, lane))
        return error_set(err, ERROR_LIMIT, "too many events wait for the event stream");
    lane->growing = batch_pool_take(&self->pool, partition);
    if (lane->growing == NULL || !batch_add(lane->growing, self->bytes_max, event, ticket))
        return error_set(err, ERROR_LIMIT, "no memory for another batch");
    return true;
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
    if (self->pool.out_count == 0)
        return;
    for (uint32_t i = 0; i < self->options.partitions; i++) {
        stamp_deadlines(self, &self->lanes[i], now_ms);
        send_lane(self, &self->lanes[i], now_ms, at_ms);
    }
}

/* The clock is read once a turn, after the handlers: a batch's time starts at its first turn's end.
 * Queued batches were closed since the last turn, newest last, so unstamped ones are at the tail.
 */
static void stamp_deadlines(struct batcher *self, struct lane *lane, int64_t now_ms)
{
    int64_t deadline_ms = now_ms + self->options.deadline_ms;

    if (lane->growing != NULL && lane->growing->deadline_ms == 0)
        lane->growing->deadline_ms = deadline_ms;
    for (struct batch *batch = lane->queue_head; batch != NULL; batch = batch->next) {
        if (batch->deadline_ms == 0)
            batch->deadline_ms = deadline_ms;
    }
}

static void send_lane(struct batcher *self, struct lane *lane, int64_t now_ms, int64_t at_ms)
{
    struct batch *batch;

    while (lane->inflight < self->options.inflight_max && publisher_is_up(self->publisher) &&
           (batch = take_next(self, lane)) != NULL)
        send(self, lane, batch, now_ms, at_ms);
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

static uint64_t settled_below(const struct batcher *self, const struct lane *lane)
{
    uint64_t lowest = lane->last_number + 1;

    for (size_t i = 0; i < self->options.inflight_max; i++) {
        if (lane->numbers[i] != 0 && lane->numbers[i] < lowest)
            lowest = lane->numbers[i];
    }
    return lowest;
}

static void replace_number(struct batcher *self, struct lane *lane, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < self->options.inflight_max; i++) {
        if (lane->numbers[i] == from) {
            lane->numbers[i] = to;
            return;
        }
    }
}

static void send(struct batcher *self, struct lane *lane, struct batch *batch, int64_t now_ms,
                 int64_t at_ms)
{
    struct codec_header header = {
        .thread = self->options.thread,
        .partition = batch->partition,
        .sent_at_ms = at_ms,
        .settled_below = settled_below(self, lane),
        .accepted = lane->accepted,
    };

    memcpy(header.gateway_id, self->options.gateway_id, sizeof(header.gateway_id));
    header.batch_no = ++lane->last_number;
    batch->number = header.batch_no;
    batch->size_bytes += codec_append_header(batch->bytes + batch->size_bytes, &header);
    replace_number(self, lane, 0, batch->number);
    lane->inflight++;
    publisher_send(self->publisher, batch, now_ms);
}

static void on_published(void *ctx, struct batch *batch, enum batch_outcome outcome)
{
    struct batcher *self = ctx;
    struct lane *lane = &self->lanes[batch->partition];

    lane->inflight--;
    replace_number(self, lane, batch->number, 0);
    if (outcome == BATCH_STORED)
        lane->accepted += batch->count;
    settle(self, batch, outcome);
}

static void settle(struct batcher *self, struct batch *batch, enum batch_outcome outcome)
{
    gateway_observe(GATEWAY_batch_events, (double)batch->count);
    for (size_t type = 0; outcome == BATCH_STORED && type < EVENT_TYPE_COUNT; type++) {
        if (batch->by_type[type] > 0)
            gateway_count_by(GATEWAY_events_accepted_total, type, batch->by_type[type]);
    }
    batch_tell(batch, outcome);
    batch_pool_return(&self->pool, batch);
}

/* A lane's batches are in the order of their deadlines, the growing one last. */
static void expire_lane(struct batcher *self, struct lane *lane, int64_t now_ms)
{
    for (;;) {
        struct batch *oldest = lane->queue_head != NULL ? lane->queue_head : lane->growing;

        if (oldest == NULL || oldest->deadline_ms == 0 || oldest->deadline_ms > now_ms)
            return;
        gateway_count(GATEWAY_batches_expired_total, 1);
        settle(self, take_next(self, lane), BATCH_UNAVAILABLE);
    }
}

void batcher_tick(struct batcher *self, int64_t now_ms)
{
    for (uint32_t i = 0; self->pool.out_count > 0 && i < self->options.partitions; i++)
        expire_lane(self, &self->lanes[i], now_ms);
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
    return self->pool.out_count == 0;
}

size_t batcher_queued_bytes(const struct batcher *self)
{
    return self->queued_bytes;
}
