#include "batch.h"
#include "check.h"
#include "day.h"
#include "messages.h"

enum { DAY = 20778, RETENTION = 90 };

static const int64_t now_ms = (int64_t)DAY * DAY_MS + 3600000;

static struct batch *empty_batch(void)
{
    struct batch *batch = batch_new(0, RETENTION);

    assert_non_null(batch);
    batch_reset(batch, now_ms);
    return batch;
}

TEST(every_readable_event_becomes_a_row)
{
    struct message message;
    struct event first = click_of("ad-001", now_ms, 1);
    struct event second = click_of("ad-002", now_ms, 2);
    struct reader_message sent;
    struct batch *batch = empty_batch();

    message_begin(&message, 7, now_ms);
    message_add(&message, &first);
    message_add(&message, &second);
    sent = message_end(&message, 41);
    assert_ok(batch_add(batch, &sent, err));

    assert_int_equal(batch->head_count, 1);
    assert_int_equal(batch->heads[0].header.batch_no, 7);
    assert_int_equal(batch->row_count, 2);
    assert_string_equal(batch->rows[1].event.ad_id, "ad-002");
    assert_int_equal(batch->letter_count, 0);
    assert_int_equal(batch_last_seq(batch), 41);
    batch_free(&batch);
}

TEST(a_message_that_is_no_batch_is_one_letter_with_all_its_bytes)
{
    const uint8_t bytes[] = {0xff, 0xff, 0xff};
    struct reader_message sent = {.seq = 5, .bytes = bytes, .size_bytes = sizeof(bytes)};
    struct batch *batch = empty_batch();

    assert_ok(batch_add(batch, &sent, err));

    assert_int_equal(batch->row_count, 0);
    assert_int_equal(batch->letter_count, 1);
    assert_string_equal(batch->letters[0].code, "undecodable");
    assert_int_equal(batch->letters[0].index, LETTER_WHOLE_MESSAGE);
    assert_int_equal(batch->letters[0].payload_size, sizeof(bytes));
    assert_false(batch->heads[0].is_filed);
    batch_free(&batch);
}

TEST(a_batch_of_another_partition_is_not_stored)
{
    struct message message;
    struct event event = click_of("ad-001", now_ms, 1);
    struct reader_message sent;
    struct batch *batch = empty_batch();

    message_begin(&message, 1, now_ms);
    message.header.partition = 3;
    message_add(&message, &event);
    sent = message_end(&message, 5);
    assert_ok(batch_add(batch, &sent, err));

    assert_int_equal(batch->row_count, 0);
    assert_string_equal(batch->letters[0].detail, "it says partition 3");
    batch_free(&batch);
}

TEST(a_malformed_event_costs_only_itself_and_keeps_its_bytes)
{
    struct message message;
    struct event event = click_of("ad-001", now_ms, 1);
    struct reader_message sent;
    struct batch *batch = empty_batch();

    message_begin(&message, 1, now_ms);
    message_add_malformed(&message);
    message_add(&message, &event);
    sent = message_end(&message, 5);
    assert_ok(batch_add(batch, &sent, err));

    assert_int_equal(batch->heads[0].events, 2);
    assert_int_equal(batch->row_count, 1);
    assert_int_equal(batch->rows[0].index, 1);
    assert_string_equal(batch->letters[0].code, "invalid_event");
    assert_int_equal(batch->letters[0].index, 0);
    assert_true(batch->letters[0].payload_size < sent.size_bytes);
    assert_null(batch_event_of(batch, &batch->letters[0]));
    batch_free(&batch);
}

TEST(an_event_whose_day_is_not_kept_is_out_of_range)
{
    struct message message;
    struct event old = click_of("ad-001", now_ms - (int64_t)RETENTION * DAY_MS, 1);
    struct event early = click_of("ad-001", now_ms + 3LL * DAY_MS, 2);
    struct event good = click_of("ad-001", now_ms, 3);
    struct reader_message sent;
    struct batch *batch = empty_batch();

    message_begin(&message, 1, now_ms);
    message_add(&message, &old);
    message_add(&message, &early);
    message_add(&message, &good);
    sent = message_end(&message, 5);
    assert_ok(batch_add(batch, &sent, err));

    assert_int_equal(batch->letter_count, 2);
    assert_string_equal(batch->letters[1].code, "out_of_range");
    assert_memory_equal(batch_event_of(batch, &batch->letters[1])->id, early.id, sizeof(early.id));
    assert_int_equal(batch->rows[0].fate, ROW_DEAD);
    assert_int_equal(batch->rows[2].fate, ROW_PENDING);
    batch_free(&batch);
}

TEST(a_batch_sent_on_a_day_that_is_not_kept_is_not_filed)
{
    struct message message;
    struct event event = click_of("ad-001", now_ms, 1);
    struct reader_message sent;
    struct batch *batch = empty_batch();

    message_begin(&message, 1, now_ms - (int64_t)RETENTION * DAY_MS);
    message_add(&message, &event);
    sent = message_end(&message, 5);
    assert_ok(batch_add(batch, &sent, err));

    assert_false(batch->heads[0].is_filed);
    assert_string_equal(batch->letters[0].code, "out_of_range");
    batch_free(&batch);
}

TEST(an_attempt_takes_back_what_the_last_one_set_aside)
{
    struct message message;
    struct event event = click_of("ad-001", now_ms, 1);
    struct reader_message sent;
    struct batch *batch = empty_batch();

    message_begin(&message, 1, now_ms);
    message_add_malformed(&message);
    message_add(&message, &event);
    sent = message_end(&message, 5);
    assert_ok(batch_add(batch, &sent, err));
    batch_seal(batch);
    assert_ok(batch_set_aside(batch, 0, LETTER_REFUSED, "22003", "out \n of range", err));
    assert_string_equal(batch->letters[1].code, "22003");
    assert_string_equal(batch->letters[1].detail, "out ? of range");

    batch_begin_attempt(batch);

    assert_int_equal(batch->letter_count, 1);
    assert_int_equal(batch->heads[0].letters, 1);
    assert_int_equal(batch->rows[0].fate, ROW_PENDING);
    batch_free(&batch);
}

TESTS(RUN(every_readable_event_becomes_a_row),
      RUN(a_message_that_is_no_batch_is_one_letter_with_all_its_bytes),
      RUN(a_batch_of_another_partition_is_not_stored),
      RUN(a_malformed_event_costs_only_itself_and_keeps_its_bytes),
      RUN(an_event_whose_day_is_not_kept_is_out_of_range),
      RUN(a_batch_sent_on_a_day_that_is_not_kept_is_not_filed),
      RUN(an_attempt_takes_back_what_the_last_one_set_aside))
