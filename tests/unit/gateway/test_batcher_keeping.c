#include "batcher_bench.h"

TEST(what_the_stream_did_not_take_is_kept_and_told_as_spooled)
{
    static const enum publish_end ends[] = {PUBLISH_LATE, PUBLISH_REFUSED, PUBLISH_CUT};

    for (size_t i = 0; i < 3; i++) {
        struct publisher publisher = {0};
        struct waiter waiters[2];
        AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
        struct seen seen;

        assert_ok(add(batcher, &waiters[0], err));
        batcher_flush(batcher, NOW_MS, 0);
        fake_publisher_end(&publisher, ends[i], NOW_MS + 100);
        assert_int_equal(spool.jobs[0]->batch.batch_no, 1);
        assert_int_equal(waiters[0].told, 0);
        answer_spool(ERROR_NONE);
        assert_int_equal(waiters[0].outcome, BATCH_KEPT);
        assert_int_equal(waiters[0].told, 1);

        assert_ok(add(batcher, &waiters[1], err));
        batcher_flush(batcher, NOW_MS, 0);
        seen = read_batch(publisher.sent[0]);
        assert_int_equal(seen.header.batch_no, 2);
        assert_int_equal(seen.header.settled_below, 2);
        assert_int_equal(seen.header.accepted, 1);
        assert_int_equal(seen.header.spooled.count, 1);
        assert_int_equal(seen.header.spooled.rows[0].first, 1);
        assert_int_equal(seen.header.abandoned.count, 0);
    }
}

TEST(what_nobody_kept_is_refused_and_told_as_abandoned)
{
    struct publisher publisher = {0};
    struct waiter waiters[2];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    inbox.refuse_with = ERROR_UNAVAILABLE;
    assert_ok(add(batcher, &waiters[0], err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_end(&publisher, PUBLISH_LATE, NOW_MS + STREAM_MS);
    answer_spool(ERROR_LIMIT);
    assert_int_equal(waiters[0].outcome, BATCH_UNAVAILABLE);
    assert_true(batcher_is_idle(batcher));

    assert_ok(add(batcher, &waiters[1], err));
    batcher_flush(batcher, NOW_MS, 0);
    seen = read_batch(publisher.sent[0]);
    assert_int_equal(seen.header.settled_below, 2);
    assert_int_equal(seen.header.accepted, 0);
    assert_int_equal(seen.header.abandoned.rows[0].first, 1);
}

TEST(while_the_stream_is_away_two_batches_are_kept_and_the_next_one_grows)
{
    struct publisher publisher = {.is_away = true};
    struct waiter waiters[6];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    int64_t now_ms = NOW_MS;

    for (size_t i = 0; i < 6; i++) {
        now_ms += KEEP_LINGER_MS;
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, now_ms, 0);
        batcher_flush(batcher, now_ms + KEEP_LINGER_MS, 0);
    }
    assert_int_equal(spool.count, LANE_KEEPING_MAX);
    answer_spool(ERROR_NONE);
    batcher_flush(batcher, now_ms + KEEP_LINGER_MS, 0);
    assert_int_equal(spool.count, 1);
    assert_int_equal(spool.jobs[0]->batch.batch_no, 3);
    assert_int_equal(spool.jobs[0]->batch.events, 4);
    answer_spool(ERROR_NONE);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(waiters[i].outcome, BATCH_KEPT);
}

TEST(while_the_stream_is_away_a_batch_grows_before_it_is_kept)
{
    struct publisher publisher = {.is_away = true};
    struct waiter waiters[3];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    for (size_t i = 0; i < 3; i++) {
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, NOW_MS + (int64_t)i, 0);
    }
    batcher_flush(batcher, NOW_MS + KEEP_LINGER_MS - 1, 0);
    assert_int_equal(spool.count, 0);
    batcher_flush(batcher, NOW_MS + KEEP_LINGER_MS, 0);
    assert_int_equal(spool.count, 1);
    assert_int_equal(spool.jobs[0]->batch.events, 3);
}

TEST(what_waited_for_a_place_too_long_is_kept_whatever_else_is_there)
{
    struct publisher publisher = {0};
    struct waiter waiters[3];
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    for (size_t i = 0; i < 3; i++) {
        assert_ok(add(batcher, &waiters[i], err));
        batcher_flush(batcher, NOW_MS, 0);
    }
    batcher_tick(batcher, NOW_MS + STREAM_MS - 1, 0);
    assert_int_equal(spool.count, 0);
    batcher_tick(batcher, NOW_MS + STREAM_MS, 0);
    assert_int_equal(spool.count, 1);
    assert_int_equal(spool.jobs[0]->batch.batch_no, 3);
}

TEST(a_batch_that_no_replay_could_publish_is_not_kept)
{
    struct publisher publisher = {0};
    struct waiter waiter;
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    assert_ok(add(batcher, &waiter, err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_end(&publisher, PUBLISH_IMPOSSIBLE, NOW_MS);
    assert_int_equal(waiter.outcome, BATCH_UNAVAILABLE);
    assert_int_equal(spool.count, 0);
}

TEST(a_silent_lane_with_news_tells_them_by_a_heartbeat)
{
    struct publisher publisher = {0};
    struct waiter waiter;
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    assert_ok(add(batcher, &waiter, err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
    batcher_tick(batcher, NOW_MS + HEARTBEAT_MS - 1, 0);
    assert_int_equal(publisher.sent_count, 0);
    batcher_tick(batcher, NOW_MS + HEARTBEAT_MS, 1700000000123);
    assert_int_equal(publisher.sent_count, 1);
    seen = read_batch(publisher.sent[0]);
    assert_int_equal(seen.events, 0);
    assert_int_equal(seen.header.batch_no, 2);
    assert_int_equal(seen.header.settled_below, 2);
    assert_int_equal(seen.header.accepted, 1);
    assert_int_equal(seen.header.sent_at_ms, 1700000000123);

    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
    batcher_tick(batcher, NOW_MS + 3 * HEARTBEAT_MS, 0);
    assert_int_equal(publisher.sent_count, 0); /* there is no news any more */
}

TEST(a_heartbeat_is_never_kept)
{
    struct publisher publisher = {0};
    struct waiter waiter;
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    struct seen seen;

    assert_ok(add(batcher, &waiter, err));
    batcher_flush(batcher, NOW_MS, 0);
    fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
    batcher_farewell(batcher, NOW_MS, 0);
    assert_int_equal(publisher.sent_count, 1);
    fake_publisher_end(&publisher, PUBLISH_LATE, NOW_MS);
    assert_int_equal(spool.count, 0);
    assert_true(batcher_is_idle(batcher));

    batcher_farewell(batcher, NOW_MS, 0);
    seen = read_batch(publisher.sent[0]);
    assert_int_equal(seen.header.batch_no, 3);
    assert_int_equal(seen.header.abandoned.rows[0].first, 2);
    assert_int_equal(seen.header.abandoned.rows[0].events, 0);
}

TEST(while_the_stream_is_away_no_heartbeat_burns_a_number)
{
    struct publisher publisher = {.is_away = true};
    struct waiter waiter;
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    assert_ok(add(batcher, &waiter, err));
    batcher_flush(batcher, NOW_MS, 0);
    batcher_flush(batcher, NOW_MS + KEEP_LINGER_MS, 0);
    answer_spool(ERROR_NONE);
    for (int64_t ms = 0; ms < 60000; ms += 20)
        batcher_tick(batcher, NOW_MS + ms, 0);
    publisher.is_away = false;
    batcher_tick(batcher, NOW_MS + 60000 + HEARTBEAT_RETRY_MS, 0);
    assert_int_equal(read_batch(publisher.sent[0]).header.batch_no, 2);
}

static void keep_refused(struct batcher *batcher, struct publisher *publisher, int64_t now_ms)
{
    struct error why = {0}, *err = &why;
    struct waiter waiter;

    assert_ok(add(batcher, &waiter, err));
    batcher_flush(batcher, now_ms, 0);
    assert_int_equal(publisher->sent_count, 1);
    fake_publisher_end(publisher, PUBLISH_REFUSED, now_ms);
    answer_spool(ERROR_NONE);
    assert_int_equal(waiter.outcome, BATCH_KEPT);
}

/* The worst case for the ledger: each heartbeat of the day parts two kept batches. */
TEST(a_quiet_lane_beside_a_full_stream_takes_events_for_a_day)
{
    enum { STEP_MS = 1000, DAY_MS = 24 * 60 * 60 * 1000 };
    struct publisher publisher = {0};
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);
    struct waiter waiter;
    int64_t now_ms = NOW_MS;
    size_t beats = 0;

    keep_refused(batcher, &publisher, now_ms);
    for (; now_ms < NOW_MS + DAY_MS; now_ms += STEP_MS) {
        batcher_tick(batcher, now_ms, 0);
        if (publisher.sent_count == 0)
            continue;
        beats++;
        fake_publisher_end(&publisher, PUBLISH_REFUSED, now_ms);
        keep_refused(batcher, &publisher, now_ms);
    }
    assert_in_range(beats, 24, 40); /* it goes on to try */

    assert_ok(add(batcher, &waiter, err));
    batcher_flush(batcher, now_ms, 0);
    fake_publisher_end(&publisher, PUBLISH_STORED, now_ms);
    assert_int_equal(waiter.outcome, BATCH_STORED);
    while (batcher_ranges(batcher) > 0) { /* a header has room for some */
        now_ms += HEARTBEAT_MS;
        batcher_tick(batcher, now_ms, 0);
        assert_int_equal(publisher.sent_count, 1);
        fake_publisher_end(&publisher, PUBLISH_STORED, now_ms);
    }
}

TEST(a_stream_that_waits_for_a_trial_is_tried_though_there_is_no_traffic)
{
    struct publisher publisher = {.wants_trial = true};
    AUTO(close_batcher) struct batcher *batcher = batcher_over(&publisher, 1);

    for (int64_t beats = 1; beats <= 3; beats++) {
        batcher_tick(batcher, NOW_MS + beats * HEARTBEAT_RETRY_MS, 0);
        assert_int_equal(publisher.sent_count, 1);
        batcher_tick(batcher, NOW_MS + beats * HEARTBEAT_RETRY_MS + 20, 0);
        assert_int_equal(publisher.sent_count, 1);
        fake_publisher_end(&publisher, PUBLISH_STORED, NOW_MS);
    }
    publisher.wants_trial = false;
    batcher_tick(batcher, NOW_MS + HEARTBEAT_MS, 0);
    assert_int_equal(publisher.sent_count, 0);
}

TEST(at_the_end_what_waits_goes_to_the_keeper_and_then_whoever_waits_is_told)
{
    struct publisher publisher = {0};
    struct batcher *batcher = batcher_over(&publisher, 1);
    struct waiter sent, growing;

    assert_ok(add(batcher, &sent, err));
    batcher_flush(batcher, NOW_MS, 0);
    assert_ok(add(batcher, &growing, err));
    batcher_hand_over(batcher, NOW_MS, 0);
    assert_int_equal(spool.count, 2);
    fake_keep_line_answer(&spool, ERROR_NONE);
    keeper_close(&keeper);
    batcher_free(&batcher);

    assert_null(batcher);
    assert_int_equal(sent.told, 1);
    assert_int_equal(sent.outcome, BATCH_KEPT);
    assert_int_equal(growing.told, 1);
    assert_int_equal(growing.outcome, BATCH_UNAVAILABLE);
}

TESTS(RUN(what_the_stream_did_not_take_is_kept_and_told_as_spooled),
      RUN(what_nobody_kept_is_refused_and_told_as_abandoned),
      RUN(while_the_stream_is_away_two_batches_are_kept_and_the_next_one_grows),
      RUN(while_the_stream_is_away_a_batch_grows_before_it_is_kept),
      RUN(what_waited_for_a_place_too_long_is_kept_whatever_else_is_there),
      RUN(a_batch_that_no_replay_could_publish_is_not_kept),
      RUN(a_silent_lane_with_news_tells_them_by_a_heartbeat), RUN(a_heartbeat_is_never_kept),
      RUN(while_the_stream_is_away_no_heartbeat_burns_a_number),
      RUN(a_quiet_lane_beside_a_full_stream_takes_events_for_a_day),
      RUN(a_stream_that_waits_for_a_trial_is_tried_though_there_is_no_traffic),
      RUN(at_the_end_what_waits_goes_to_the_keeper_and_then_whoever_waits_is_told))
