#include "batcher_bench.h"

TEST(a_turn_sends_its_events_as_one_batch)
{
    struct publisher publisher = {0};
    struct waiter waiters[3];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    for (size_t i = 0; i < 3; i++)
        assert_ok(add(batcher, &waiters[i], err));
    assert_int_equal(publisher.sent_count, 0);
    batcher_flush(batcher, NOW_MS, 1700000000123);

    assert_int_equal(publisher.sent_count, 1);
    assert_int_equal(publisher.sent[0]->stream_until_ms, NOW_MS + STREAM_MS);
    assert_int_equal(publisher.sent[0]->deadline_ms, NOW_MS + VERDICT_MS);
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
    struct publisher publisher = {0};
    struct waiter waiters[2];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    for (size_t i = 0; i < 2; i++)
        assert_ok(add(batcher, &waiters[i], err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(waiters[i].told, 1);
        assert_int_equal(waiters[i].outcome, BATCH_STORED);
    }
    assert_true(batcher_is_idle(batcher));
}

TEST(a_waiter_that_went_away_is_not_told)
{
    struct publisher publisher = {0};
    struct waiter gone, here;
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    assert_ok(add(batcher, &gone, err));
    assert_ok(add(batcher, &here, err));
    batch_forget(&gone.ticket);
    batcher_flush(batcher, NOW_MS, 0);
    assert_int_equal(read_batch(publisher.sent[0]).events, 2);
    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);

    assert_int_equal(gone.told, 0);
    assert_int_equal(here.told, 1);
}

TEST(while_two_batches_wait_the_next_one_grows)
{
    struct publisher publisher = {0};
    struct waiter waiters[6];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    for (size_t i = 0; i < 6; i++) {
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, NOW_MS, 0);
    }
    assert_int_equal(publisher.sent_count, 2);

    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
    batcher_flush(batcher, NOW_MS, 0);
    assert_int_equal(publisher.sent_count, 2);
    assert_int_equal(read_batch(publisher.sent[1]).events, 4);
}

TEST(numbers_are_dense_and_tell_what_is_settled)
{
    struct publisher publisher = {0};
    struct waiter waiters[3];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    for (size_t i = 0; i < 2; i++) {
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, NOW_MS, 0);
    }
    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
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

TEST(full_batches_queue_up_to_the_limit_and_then_events_are_shed)
{
    struct publisher publisher = {0};
    static struct waiter waiters[1000];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    size_t added = 0;

    while (added < 1000 && add(batcher, &waiters[added], err))
        added++;

    assert_int_equal(err->kind, ERROR_LIMIT);
    assert_in_range(added, 100, 999);
    assert_in_range(batcher_queued_bytes(batcher), 1, QUEUE_BYTES);
    assert_null(waiters[added].ticket.batch);

    for (size_t i = 0; i < 1000 && !batcher_is_idle(batcher); i++) {
        batcher_flush(batcher, NOW_MS, 0);
        assert_in_range(publisher.sent_count, 1, 2);
        fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
    }
    for (size_t i = 0; i < added; i++)
        assert_int_equal(waiters[i].told, 1);
    assert_int_equal(batcher_queued_bytes(batcher), 0);
}

TEST(a_smaller_payload_of_the_server_makes_smaller_batches)
{
    struct publisher publisher = {0};
    static struct waiter waiters[40];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    batcher_set_payload_max(batcher, 2048);
    for (size_t i = 0; i < 40; i++)
        assert_ok(add(batcher, &waiters[i], err));
    batcher_flush(batcher, NOW_MS, 0);

    assert_int_equal(publisher.sent_count, 2);
    assert_in_range(publisher.sent[0]->size_bytes, 1, 2048 - 512);
}

TEST(each_partition_has_a_lane_of_its_own)
{
    struct publisher publisher = {0};
    static struct waiter waiters[64];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 4);
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

TESTS(RUN(a_turn_sends_its_events_as_one_batch), RUN(the_verdict_reaches_every_waiter_once),
      RUN(a_waiter_that_went_away_is_not_told), RUN(while_two_batches_wait_the_next_one_grows),
      RUN(numbers_are_dense_and_tell_what_is_settled),
      RUN(full_batches_queue_up_to_the_limit_and_then_events_are_shed),
      RUN(a_smaller_payload_of_the_server_makes_smaller_batches),
      RUN(each_partition_has_a_lane_of_its_own))
