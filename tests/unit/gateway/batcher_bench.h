/*
 * batcher_bench.h — a batcher over a fake publisher and a keeper with two fake lines
 *
 * Shape: what the tests of the batcher share; each test program has one bench at a time.
 */
#pragma once

#include "check.h"

#include "base/auto.h"
#include "batcher.h"
#include "event/event_id.h"
#include "fake_keep_line.h"
#include "fake_publisher.h"
#include "keeper.h"

#include <stdio.h>
#include <string.h>

enum {
    STREAM_MS = 400,
    VERDICT_MS = 950,
    NOW_MS = 5000,
    BATCH_BYTES = 4096,
    QUEUE_BYTES = 3 * 4096
};

static const uint8_t gateway_id[16] = {1, 2, 3};

/* A waiter that remembers what it was told. */
struct waiter {
    struct ticket ticket;
    int told;
    enum batch_outcome outcome;
};

static inline void on_told(struct ticket *ticket, enum batch_outcome outcome)
{
    struct waiter *waiter = (struct waiter *)ticket;

    waiter->told++;
    waiter->outcome = outcome;
}

/* The spool and the inbox of the batcher that a test has. */
static struct keep_line spool, inbox;
static struct keeper *keeper;

static inline void on_wake(void *ctx)
{
    (void)ctx;
}

static inline struct keeper *new_keeper(void)
{
    const struct keeper_options options = {
        .gateway_id = gateway_id,
        .lines = {[KEEP_SPOOL] = &spool, [KEEP_INBOX] = &inbox},
        .wake = on_wake,
    };
    struct error err;

    spool = inbox = (struct keep_line){0};
    keeper = keeper_new(&options, &err);
    assert_non_null(keeper);
    return keeper;
}

static inline void close_batcher(struct batcher **batcher)
{
    if (*batcher == NULL)
        return;
    batcher_hand_over(*batcher, NOW_MS, 0);
    keeper_close(&keeper);
    batcher_free(batcher);
}

/* Whoever is at the spool is answered. */
static inline void answer_spool(enum error_kind kind)
{
    while (spool.count > 0)
        fake_keep_line_answer(&spool, kind);
    keeper_turn(keeper, NOW_MS);
}

static inline struct batcher *batcher_over(struct publisher *publisher, uint32_t partitions)
{
    const struct batcher_options options = {
        .gateway_id = gateway_id,
        .thread = 3,
        .partitions = partitions,
        .inflight_max = 2,
        .batch_bytes = BATCH_BYTES,
        .queue_bytes = QUEUE_BYTES,
        .stream_ms = STREAM_MS,
        .verdict_ms = VERDICT_MS,
    };
    struct error err;
    struct batcher *batcher = batcher_new(&options, publisher, new_keeper(), &err);

    assert_non_null(batcher);
    return batcher;
}

static inline struct event click_on(const char *ad_id)
{
    struct event event = {.type = EVENT_CLICK, .playback_ms = EVENT_PLAYBACK_ABSENT};

    event_id_make(1700000000000, event.id);
    event.ad_id_size = (uint8_t)strlen(ad_id);
    memcpy(event.ad_id, ad_id, event.ad_id_size);
    event.event_at_ms = event.received_at_ms = 1700000000000;
    return event;
}

static inline bool add(struct batcher *batcher, struct waiter *waiter, struct error *err)
{
    struct event event = click_on("ad-001");

    *waiter = (struct waiter){.ticket = {.on_settled = on_told}};
    return batcher_add(batcher, &event, &waiter->ticket, err);
}

/* What the readers will see in a batch. */
struct seen {
    struct codec_header header;
    size_t events;
};

static inline bool on_seen(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct seen *seen = ctx;

    (void)index;
    (void)why;
    seen->events += event != NULL;
    return true;
}

static inline struct seen read_batch(const struct batch *batch)
{
    struct seen seen = {0};
    struct error err;

    if (!codec_read_batch(batch->bytes, batch->size_bytes, &seen.header, on_seen, &seen, &err))
        fail_msg("%s", err.text);
    return seen;
}
