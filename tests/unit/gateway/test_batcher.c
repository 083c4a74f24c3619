#include "check.h"

#include "base/auto.h"
#include "batcher.h"
#include "event/event_id.h"
#include "fake_publisher.h"

#include <stdio.h>
#include <string.h>

enum { DEADLINE_MS = 900, NOW_MS = 5000, BATCH_BYTES = 4096, QUEUE_BYTES = 3 * 4096 };

static const uint8_t gateway_id[16] = {1, 2, 3};

/* A waiter that remembers what it was told. */
struct waiter {
    struct ticket ticket;
    int told;
    enum batch_outcome outcome;
};

static void on_told(struct ticket *ticket, enum batch_outcome outcome)
{
    struct waiter *waiter = (struct waiter *)ticket;

    waiter->told++;
    waiter->outcome = outcome;
}

static struct batcher *batcher_over(struct publisher *publisher, uint32_t partitions)
{
    const struct batcher_options options = {
        .gateway_id = gateway_id,
        .thread = 3,
        .partitions = partitions,
        .inflight_max = 2,
        .batch_bytes = BATCH_BYTES,
        .queue_bytes = QUEUE_BYTES,
        .deadline_ms = DEADLINE_MS,
    };
    struct error err;
    struct batcher *batcher = batcher_new(&options, publisher, &err);

    assert_non_null(batcher);
    return batcher;
}

static struct event click_on(const char *ad_id)
{
    struct event event = {.type = EVENT_CLICK, .playback_ms = EVENT_PLAYBACK_ABSENT};

    event_id_make(1700000000000, event.id);
    event.ad_id_size = (uint8_t)strlen(ad_id);
    memcpy(event.ad_id, ad_id, event.ad_id_size);
    event.event_at_ms = event.received_at_ms = 1700000000000;
    return event;
}

static bool add(struct batcher *batcher, struct waiter *waiter, struct error *err)
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

static bool on_seen(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct seen *seen = ctx;

    (void)index;
    (void)why;
    seen->events += event != NULL;
    return true;
}

static struct seen read_batch(const struct batch *batch)
{
    struct seen seen = {0};
    struct error err;

    if (!codec_read_batch(batch->bytes, batch->size_bytes, &seen.header, on_seen, &seen, &err))
        fail_msg("%s", err.text);
    return seen;
}

TEST(a_turn_sends_its_events_as_one_batch)
{
    struct publisher publisher = {.is_up = true};
    struct waiter waiters[3];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    for (size_t i = 0; i < 3; i++)
        assert_ok(add(batcher, &waiters[i], err));
    assert_int_equal(publisher.sent_count, 0);
    batcher_flush(batcher, NOW_MS, 1700000000123);

    assert_int_equal(publisher.sent_count, 1);
    assert_int_equal(publisher.sent[0]->deadline_ms, NOW_MS + DEADLINE_MS);
    seen = read_batch(publisher.sent[0]);
    assert_int_equal(seen.events, 3);
    assert_memory_equal(seen.header.gateway_id, gateway_id, 16);
    assert_int_equal(seen.header.thread, 3);
    assert_int_equal(seen.header.batch_no, 1);
    assert_int_equal(seen.header.sent_at_ms, 1700000000123);
    assert_int_equal(seen.header.settled_below, 1);
    assert_int_equal(seen.header.accepted, 0);
}

TEST(the_verdict_reaches_every_waiter_once)
{
    struct publisher publisher = {.is_up = true};
    struct waiter waiters[2];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);

    for (size_t i = 0; i < 2; i++)
        assert_ok(add(batcher, &waiters[i], err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_settle(&publisher, BATCH_STORED);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(waiters[i].told, 1);
        assert_int_equal(waiters[i].outcome, BATCH_STORED);
    }
    assert_true(batcher_is_idle(batcher));
}

TEST(a_waiter_that_went_away_is_not_told)
{
    struct publisher publisher = {.is_up = true};
    struct waiter gone, here;
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);

    assert_ok(add(batcher, &gone, err));
    assert_ok(add(batcher, &here, err));
    batch_forget(&gone.ticket);
    batcher_flush(batcher, NOW_MS, 0);
    assert_int_equal(read_batch(publisher.sent[0]).events, 2);
    fake_publisher_settle(&publisher, BATCH_STORED);

    assert_int_equal(gone.told, 0);
    assert_int_equal(here.told, 1);
}

TEST(while_two_batches_wait_the_next_one_grows)
{
    struct publisher publisher = {.is_up = true};
    struct waiter waiters[6];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);

    for (size_t i = 0; i < 6; i++) {
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, NOW_MS, 0);
    }
    assert_int_equal(publisher.sent_count, 2);

    fake_publisher_settle(&publisher, BATCH_STORED);
    batcher_flush(batcher, NOW_MS, 0);
    assert_int_equal(publisher.sent_count, 2);
    assert_int_equal(read_batch(publisher.sent[1]).events, 4);
}

TEST(numbers_are_dense_and_tell_what_is_settled)
{
    struct publisher publisher = {.is_up = true};
    struct waiter waiters[3];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    for (size_t i = 0; i < 2; i++) {
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, NOW_MS, 0);
    }
    fake_publisher_settle(&publisher, BATCH_STORED);
    assert_ok(add(batcher, &waiters[2], err));
    batcher_flush(batcher, NOW_MS, 0);

    seen = read_batch(publisher.sent[0]);
    assert_int_equal(seen.header.batch_no, 2);
    assert_int_equal(seen.header.settled_below, 1);
    seen = read_batch(publisher.sent[1]);
    assert_int_equal(seen.header.batch_no, 3);
    assert_int_equal(seen.header.settled_below, 2);
    assert_int_equal(seen.header.accepted, 1);
}

TEST(an_unproven_batch_counts_as_settled_but_not_as_accepted)
{
    struct publisher publisher = {.is_up = true};
    struct waiter waiters[2];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    assert_ok(add(batcher, &waiters[0], err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_settle(&publisher, BATCH_UNAVAILABLE);
    assert_ok(add(batcher, &waiters[1], err));
    batcher_flush(batcher, NOW_MS, 0);

    assert_int_equal(waiters[0].outcome, BATCH_UNAVAILABLE);
    seen = read_batch(publisher.sent[0]);
    assert_int_equal(seen.header.batch_no, 2);
    assert_int_equal(seen.header.settled_below, 2);
    assert_int_equal(seen.header.accepted, 0);
}

TEST(full_batches_queue_up_to_the_limit_and_then_events_are_shed)
{
    struct publisher publisher = {.is_up = false};
    static struct waiter waiters[1000];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);
    size_t added = 0;

    while (added < 1000 && add(batcher, &waiters[added], err))
        added++;

    assert_int_equal(err->kind, ERROR_LIMIT);
    assert_in_range(added, 100, 999);
    assert_in_range(batcher_queued_bytes(batcher), 1, QUEUE_BYTES);
    assert_null(waiters[added].ticket.batch);

    publisher.is_up = true;
    for (size_t i = 0; i < 1000 && !batcher_is_idle(batcher); i++) {
        batcher_flush(batcher, NOW_MS, 0);
        assert_in_range(publisher.sent_count, 1, 2);
        fake_publisher_settle(&publisher, BATCH_STORED);
    }
    for (size_t i = 0; i < added; i++)
        assert_int_equal(waiters[i].told, 1);
    assert_int_equal(batcher_queued_bytes(batcher), 0);
}

TEST(what_cannot_be_sent_in_time_is_given_up_without_a_number)
{
    struct publisher publisher = {.is_up = false};
    struct waiter late, next;
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);

    assert_ok(add(batcher, &late, err));
    batcher_flush(batcher, NOW_MS, 0);
    batcher_tick(batcher, NOW_MS + DEADLINE_MS - 1);
    assert_int_equal(late.told, 0);
    batcher_tick(batcher, NOW_MS + DEADLINE_MS);
    assert_int_equal(late.told, 1);
    assert_int_equal(late.outcome, BATCH_UNAVAILABLE);

    publisher.is_up = true;
    assert_ok(add(batcher, &next, err));
    batcher_flush(batcher, NOW_MS + 1000, 0);
    assert_int_equal(read_batch(publisher.sent[0]).header.batch_no, 1);
}

TEST(a_lost_connection_refuses_at_once)
{
    struct publisher publisher = {.is_lost = true};
    struct waiter waiter;
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);

    assert_fails(ERROR_UNAVAILABLE, add(batcher, &waiter, err));
    assert_true(batcher_is_idle(batcher));
}

TEST(a_smaller_payload_of_the_server_makes_smaller_batches)
{
    struct publisher publisher = {.is_up = true};
    static struct waiter waiters[40];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 1);

    batcher_set_payload_max(batcher, 2048);
    for (size_t i = 0; i < 40; i++)
        assert_ok(add(batcher, &waiters[i], err));
    batcher_flush(batcher, NOW_MS, 0);

    assert_int_equal(publisher.sent_count, 2);
    assert_in_range(publisher.sent[0]->size_bytes, 1, 2048 - 512);
}

TEST(each_partition_has_a_lane_of_its_own)
{
    struct publisher publisher = {.is_up = true};
    static struct waiter waiters[64];
    AUTO(batcher_free) struct batcher *batcher = batcher_over(&publisher, 4);
    bool is_seen[4] = {false};

    for (int i = 0; i < 64; i++) {
        char ad_id[16];
        struct event event;

        (void)snprintf(ad_id, sizeof(ad_id), "ad-%d", i);
        event = click_on(ad_id);
        waiters[i] = (struct waiter){.ticket = {.on_settled = on_told}};
        assert_ok(batcher_add(batcher, &event, &waiters[i].ticket, err));
    }
    batcher_flush(batcher, NOW_MS, 0);

    assert_int_equal(publisher.sent_count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct seen seen = read_batch(publisher.sent[i]);

        assert_int_equal(seen.header.batch_no, 1);
        assert_false(is_seen[seen.header.partition]);
        is_seen[seen.header.partition] = true;
    }
}

TEST(at_the_end_whoever_waits_is_told)
{
    struct publisher publisher = {.is_up = true};
    struct batcher *batcher = batcher_over(&publisher, 1);
    struct waiter sent, growing;

    assert_ok(add(batcher, &sent, err));
    batcher_flush(batcher, NOW_MS, 0);
    assert_ok(add(batcher, &growing, err));
    batcher_free(&batcher);

    assert_null(batcher);
    assert_int_equal(sent.told, 1);
    assert_int_equal(growing.told, 1);
    assert_int_equal(growing.outcome, BATCH_UNAVAILABLE);
}

TESTS(RUN(a_turn_sends_its_events_as_one_batch), RUN(the_verdict_reaches_every_waiter_once),
      RUN(a_waiter_that_went_away_is_not_told), RUN(while_two_batches_wait_the_next_one_grows),
      RUN(numbers_are_dense_and_tell_what_is_settled),
      RUN(an_unproven_batch_counts_as_settled_but_not_as_accepted),
      RUN(full_batches_queue_up_to_the_limit_and_then_events_are_shed),
      RUN(what_cannot_be_sent_in_time_is_given_up_without_a_number),
      RUN(a_lost_connection_refuses_at_once),
      RUN(a_smaller_payload_of_the_server_makes_smaller_batches),
      RUN(each_partition_has_a_lane_of_its_own), RUN(at_the_end_whoever_waits_is_told))
