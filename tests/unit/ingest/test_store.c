#include "ads.h"
#include "check.h"
#include "day.h"
#include "fake_pg.h"
#include "messages.h"
#include "pace.h"
#include "store.h"

#include <string.h>

enum { DAY = 20778, RETENTION = 90 };

static const int64_t now_ms = (int64_t)DAY * DAY_MS + 3600000;
static struct message message;

/* A batch of one message, sequence 101, with clicks 1..count. */
static struct batch *batch_of(uint8_t count, struct error *err)
{
    struct batch *batch = batch_new(0, RETENTION);
    struct reader_message sent;

    assert_non_null(batch);
    batch_reset(batch, now_ms);
    message_begin(&message, 1, now_ms);
    for (uint8_t i = 1; i <= count; i++) {
        struct event event = click_of("ad-001", now_ms, i);

        message_add(&message, &event);
    }
    sent = message_end(&message, 101);
    assert_ok(batch_add(batch, &sent, err));
    return batch;
}

static void store_click(uint8_t number)
{
    struct event stored = click_of("ad-001", now_ms, number);

    memcpy(fake_pg.ids[fake_pg.id_count++], stored.id, sizeof(stored.id));
}

TEST(a_new_batch_is_stored_with_its_position_in_one_transaction)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.verdict, STORE_DONE);
    assert_int_equal(outcome.stored, 3);
    assert_int_equal(fake_pg.position, 101);
    assert_string_equal(fake_pg.asked, "begin claim copy sum commit");
    store_free(&store);
    batch_free(&batch);
}

TEST(a_batch_without_events_is_filed_and_its_ranges_are_one_statement_more)
{
    struct batch *batch = batch_new(0, RETENTION);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;
    struct reader_message sent;

    assert_non_null(batch);
    fake_pg_reset(100);
    batch_reset(batch, now_ms);
    message_begin(&message, 1, now_ms);
    message.header.spooled = (struct codec_ranges){.count = 1, .rows = {{2, 3, 10}}};
    sent = message_end(&message, 101);
    assert_ok(batch_add(batch, &sent, err));
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.stored, 0);
    assert_int_equal(fake_pg.position, 101);
    assert_string_equal(fake_pg.asked, "begin claim ranges commit");
    store_free(&store);
    batch_free(&batch);
}

TEST(nothing_is_stored_when_another_process_has_moved_the_position)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(105);
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.verdict, STORE_LOST);
    assert_int_equal(fake_pg.position, 105);
    assert_string_equal(fake_pg.asked, "begin claim rollback");
    store_free(&store);
    batch_free(&batch);
}

TEST(an_event_that_is_there_already_is_a_duplicate_and_marks_its_quarter)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    store_click(2);
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.stored, 2);
    assert_int_equal(outcome.duplicates, 1);
    assert_int_equal(batch->rows[1].fate, ROW_DUPLICATE);
    assert_int_equal(batch->heads[0].stored, 2);
    assert_int_equal(fake_pg.marks, 1);
    assert_true(outcome.is_copy_refused);
    assert_int_equal(outcome.way, STORE_BY_INSERT);
    assert_string_equal(fake_pg.asked,
                        "begin claim copy rollback begin claim insert sum tell commit");
    store_free(&store);
    batch_free(&batch);
}

TEST(of_two_equal_events_in_one_transaction_the_first_counts)
{
    struct batch *batch = batch_of(2, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    batch->rows[1].event = batch->rows[0].event;
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(batch->rows[0].fate, ROW_STORED);
    assert_int_equal(batch->rows[1].fate, ROW_DUPLICATE);
    assert_int_equal(batch->heads[0].stored, 1);
    assert_int_equal(fake_pg.id_count, 1);
    assert_string_equal(fake_pg.asked, "begin claim copy sum tell commit");
    store_free(&store);
    batch_free(&batch);
}

TEST(a_second_copy_of_a_poison_row_is_not_lost_with_the_first)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.poison = 2;
    batch->rows[2].event = batch->rows[1].event;
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.way, STORE_BY_HALVES);
    assert_int_equal(outcome.stored, 1);
    assert_int_equal(outcome.letters[LETTER_REFUSED], 2);
    assert_int_equal(outcome.duplicates, 0);
    store_free(&store);
    batch_free(&batch);
}

/* One transaction after the other, of one new event each; how many of them asked for COPY. */
static int store_calmly(struct store *store, int transactions, struct error *err)
{
    int copies = 0;

    for (int i = 0; i < transactions; i++) {
        struct batch *batch = batch_of(1, err);
        struct store_outcome outcome;

        fake_pg_reset(100);
        assert_ok(store_write(store, batch, 100, &outcome, err));
        copies += outcome.way == STORE_BY_COPY;
        batch_free(&batch);
    }
    return copies;
}

TEST(after_a_refused_copy_events_are_inserted_for_a_while)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    store_click(2);
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(store_calmly(store, PACE_STAY_MIN - 1, err), 0);
    assert_int_equal(store_calmly(store, 3, err), 3);
    store_free(&store);
    batch_free(&batch);
}

TEST(a_batch_that_was_stored_before_adds_nothing_but_marks)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.is_batch_known = true;
    for (uint8_t i = 1; i <= 3; i++)
        store_click(i);
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.duplicates, 3);
    assert_int_equal(outcome.batches_seen, 1);
    assert_int_equal(fake_pg.marks, 1);
    assert_int_equal(outcome.batches_reused, 0);
    assert_false(outcome.is_copy_refused);
    assert_string_equal(fake_pg.asked, "begin claim insert tell commit");
    store_free(&store);
    batch_free(&batch);
}

TEST(no_event_is_lost_when_two_batches_bear_one_number)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.is_batch_known = true;
    store_click(2);
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.stored, 2);
    assert_int_equal(outcome.duplicates, 1);
    assert_int_equal(outcome.batches_reused, 1);
    store_free(&store);
    batch_free(&batch);
}

TEST(a_poison_row_is_found_by_halves_and_the_rest_is_stored)
{
    struct batch *batch = batch_of(100, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.poison = 37;
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.stored, 99);
    assert_int_equal(outcome.letters[LETTER_REFUSED], 1);
    assert_string_equal(batch->letters[0].code, "22003");
    assert_int_equal(batch->rows[36].fate, ROW_DEAD);
    assert_int_equal(fake_pg.id_count, 99);
    assert_int_equal(fake_pg.letters, 1);
    assert_int_equal(fake_pg.position, 101);
    store_free(&store);
    batch_free(&batch);
}

TEST(a_missing_day_stores_nothing_and_is_said)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.is_day_missing = true;
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.verdict, STORE_NO_DAY);
    assert_int_equal(fake_pg.position, 100);
    store_free(&store);
    batch_free(&batch);
}

TEST(a_commit_without_an_answer_is_uncertain)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.is_commit_unanswered = true;
    assert_fails(ERROR_UNCERTAIN, store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.stored, 3);
    store_free(&store);
    batch_free(&batch);
}

TEST(only_an_ad_that_the_gateway_left_open_is_looked_up)
{
    struct batch *batch = batch_of(3, err);
    struct store *store = store_new(NULL, 0);
    struct store_outcome outcome;

    fake_pg_reset(100);
    fake_pg.known_ad = "ad-001";
    batch->rows[1].event.flags = EVENT_AD_UNRESOLVED;
    batch->rows[2].event.flags = EVENT_AD_UNRESOLVED;
    batch->rows[2].event.ad_id[0] = 'x';
    batch->unresolved_count = 2;
    assert_ok(ads_resolve(NULL, batch, err));
    assert_ok(store_write(store, batch, 100, &outcome, err));

    assert_int_equal(outcome.stored, 2);
    assert_int_equal(outcome.letters[LETTER_UNKNOWN_AD], 1);
    assert_string_equal(batch->letters[0].code, "unknown_ad");
    store_free(&store);
    batch_free(&batch);
}

TESTS(RUN(a_new_batch_is_stored_with_its_position_in_one_transaction),
      RUN(a_batch_without_events_is_filed_and_its_ranges_are_one_statement_more),
      RUN(nothing_is_stored_when_another_process_has_moved_the_position),
      RUN(an_event_that_is_there_already_is_a_duplicate_and_marks_its_quarter),
      RUN(of_two_equal_events_in_one_transaction_the_first_counts),
      RUN(a_second_copy_of_a_poison_row_is_not_lost_with_the_first),
      RUN(after_a_refused_copy_events_are_inserted_for_a_while),
      RUN(a_batch_that_was_stored_before_adds_nothing_but_marks),
      RUN(no_event_is_lost_when_two_batches_bear_one_number),
      RUN(a_poison_row_is_found_by_halves_and_the_rest_is_stored),
      RUN(a_missing_day_stores_nothing_and_is_said), RUN(a_commit_without_an_answer_is_uncertain),
      RUN(only_an_ad_that_the_gateway_left_open_is_looked_up))
