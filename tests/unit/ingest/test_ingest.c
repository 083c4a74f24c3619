/* A step with the real store over a fake database, and a fake stream. */
#include "ingest.h"

#include "check.h"
#include "clients/reader.h"
#include "day.h"
#include "fake_pg.h"
#include "ingest_metrics.h"
#include "messages.h"
#include "runtime/clock.h"
#include "runtime/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGES = 3, RETRY_MAX_MS = 1000, BEHIND_SURE_MS = 5000 };

/* What stands in for shared/runtime/clock.c: time moves when a test says so. */
static int64_t moved_ms;

int64_t clock_now_ms(void)
{
    return 1000000 + moved_ms;
}

int64_t clock_now_us(void)
{
    return clock_now_ms() * 1000;
}

int64_t clock_at_ms(void)
{
    return INT64_C(1795219200000) + moved_ms;
}

void clock_sleep_ms(int64_t wait_ms)
{
    moved_ms += wait_ms;
}

/* What stands in for shared/clients/reader.c and stream.c. */
static struct {
    struct message bodies[MESSAGES];
    struct reader_message messages[MESSAGES]; /* sequences 101.. */
    uint64_t next;                            /* sequence of the next one to hand out */
    uint64_t advanced, rewound;
    int rewinds, ensured;
    bool is_gone;
    struct stream_state state;
} stream;

bool reader_fetch(struct reader *reader, int wait_ms, int linger_ms,
                  const struct reader_message **out_messages, size_t *out_count, struct error *err)
{
    (void)reader;
    (void)wait_ms;
    (void)linger_ms;
    if (stream.is_gone)
        return error_set(err, ERROR_INVALID, "reader: the stream is gone");
    *out_count = stream.next > 100 + MESSAGES ? 0 : (size_t)(100 + MESSAGES + 1 - stream.next);
    *out_messages = &stream.messages[MESSAGES - *out_count];
    stream.next = 101 + MESSAGES;
    return true;
}

void reader_rewind(struct reader *reader, uint64_t position)
{
    (void)reader;
    stream.rewound = position;
    stream.rewinds++;
    stream.next = position + 1;
}

void reader_advance(struct reader *reader, uint64_t position)
{
    (void)reader;
    stream.advanced = position;
}

uint64_t reader_gap(const struct reader *reader)
{
    (void)reader;
    return 0;
}

uint64_t reader_pending(const struct reader *reader)
{
    (void)reader;
    return 0;
}

int64_t reader_drained_at_ms(const struct reader *reader)
{
    (void)reader;
    return clock_at_ms();
}

bool stream_ensure(struct bus *bus, uint32_t partition, const struct stream_limits *limits,
                   uint64_t stored_position, int64_t at_ms, struct error *err)
{
    (void)bus;
    (void)partition;
    (void)limits;
    (void)stored_position;
    (void)at_ms;
    (void)err;
    stream.ensured++;
    stream.is_gone = false;
    return true;
}

bool stream_get_state(struct bus *bus, uint32_t partition, struct stream_state *out,
                      struct error *err)
{
    (void)bus;
    (void)partition;
    (void)err;
    *out = stream.state;
    return true;
}

/* Three messages of two clicks each behind position 100, in PostgreSQL and on the stream. */
static struct ingest *ingest_behind_three_messages(size_t batch_events)
{
    struct ingest_options options = {
        .batch_events = batch_events, .retention_days = 90, .slow_ms = 10000, .lock_ms = 1000};
    int64_t at_ms = clock_at_ms();
    struct ingest *ingest = ingest_new(&options, NULL, NULL, NULL);

    assert_non_null(ingest);
    memset(&stream, 0, sizeof(stream));
    stream.state = (struct stream_state){.first_seq = 101, .last_seq = 100 + MESSAGES};
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct event first = click_of("ad-001", at_ms, (uint8_t)(2 * i + 1));
        struct event second = click_of("ad-002", at_ms, (uint8_t)(2 * i + 2));

        message_begin(&stream.bodies[i], i + 1, at_ms);
        message_add(&stream.bodies[i], &first);
        message_add(&stream.bodies[i], &second);
        stream.messages[i] = message_end(&stream.bodies[i], 101 + i);
    }
    fake_pg_reset(100);
    return ingest;
}

TEST(a_step_stores_what_it_fetched_and_moves_on)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    assert_ok(ingest_step(ingest, err));

    assert_int_equal(stream.rewound, 100);
    assert_int_equal(fake_pg.id_count, 6);
    assert_int_equal(fake_pg.position, 103);
    assert_int_equal(stream.advanced, 103);
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(stream.rewinds, 1);
    ingest_free(&ingest);
}

TEST(a_fetch_larger_than_a_transaction_is_stored_in_several_without_splitting_a_message)
{
    struct ingest *ingest = ingest_behind_three_messages(3);

    assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.position, 102);
    assert_int_equal(stream.advanced, 0);

    assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.position, 103);
    assert_int_equal(stream.advanced, 103);
    assert_int_equal(stream.rewinds, 1);
    ingest_free(&ingest);
}

TEST(reads_again_from_the_stored_position_when_an_uncertain_commit_had_no_effect)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.is_commit_unanswered = true;
    assert_fails(ERROR_UNCERTAIN, ingest_step(ingest, err));
    assert_int_equal(stream.advanced, 0);

    fake_pg.is_commit_unanswered = false;
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(stream.rewound, 100);
    assert_int_equal(stream.rewinds, 2);
    assert_int_equal(fake_pg.id_count, 6);
    ingest_free(&ingest);
}

TEST(goes_on_behind_an_uncertain_commit_that_took_effect)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.is_commit_unanswered = true;
    fake_pg.has_commit_taken_place = true;
    assert_fails(ERROR_UNCERTAIN, ingest_step(ingest, err));

    fake_pg.is_commit_unanswered = false;
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(stream.rewound, 103);
    assert_int_equal(fake_pg.id_count, 6);
    ingest_free(&ingest);
}

TEST(reads_its_position_again_after_another_process_has_moved_it)
{
    struct ingest *ingest = ingest_behind_three_messages(3);

    assert_ok(ingest_step(ingest, err));
    fake_pg.position = 103;
    assert_fails(ERROR_LIMIT, ingest_step(ingest, err));

    assert_ok(ingest_step(ingest, err));
    assert_int_equal(stream.rewound, 103);
    assert_int_equal(fake_pg.id_count, 4);
    ingest_free(&ingest);
}

TEST(a_database_that_is_down_opens_the_breaker_and_nothing_is_fetched)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.is_down = true;
    for (int i = 0; i < 3; i++)
        assert_fails(ERROR_UNAVAILABLE, ingest_step(ingest, err));

    assert_true(ingest_wait_ms(ingest) > 0);
    assert_true(ingest_is_blocked(ingest));
    assert_int_equal(stream.rewinds, 0);
    ingest_free(&ingest);
}

/* The database stays away until the breaker's cooldown has grown over two seconds. */
static void stay_down(struct ingest *ingest)
{
    struct error err;

    fake_pg.is_down = true;
    while (ingest_wait_ms(ingest) < 2000) {
        clock_sleep_ms(ingest_wait_ms(ingest));
        assert_false(ingest_step(ingest, &err));
    }
}

TEST(a_connection_that_comes_back_ends_the_breakers_wait)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    stay_down(ingest);
    fake_pg.is_down = false;
    clock_sleep_ms(RETRY_MAX_MS); /* the next knock is due by then, the cooldown is not over */

    assert_int_equal(ingest_wait_ms(ingest), 0);
    assert_false(ingest_is_blocked(ingest));
    for (int i = 0; i < MESSAGES; i++)
        assert_ok(ingest_step(ingest, err)); /* one message at a time first */
    assert_int_equal(fake_pg.position, 103);
    ingest_free(&ingest);
}

TEST(what_a_lock_has_stopped_is_tried_again_as_it_is_held)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.lock_refusals = 1;
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.position, 100);
    assert_true(ingest_wait_ms(ingest) <= RETRY_MAX_MS);

    clock_sleep_ms(ingest_wait_ms(ingest));
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.position, 103);
    assert_int_equal(fake_pg.id_count, 6);
    assert_int_equal(stream.rewinds, 1);
    ingest_free(&ingest);
}

TEST(after_three_retries_the_step_fails_and_reads_again)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.lock_refusals = 4;
    for (int i = 0; i < 3; i++) {
        assert_ok(ingest_step(ingest, err));
        clock_sleep_ms(RETRY_MAX_MS);
    }
    assert_fails(ERROR_UNAVAILABLE, ingest_step(ingest, err));

    clock_sleep_ms(ingest_wait_ms(ingest));
    while (fake_pg.position < 103)
        assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.id_count, 6);
    assert_int_equal(stream.rewinds, 2);
    ingest_free(&ingest);
}

TEST(a_lease_lost_between_two_transactions_of_a_fetch_costs_a_second_reading_and_no_event)
{
    struct ingest *ingest = ingest_behind_three_messages(3);

    assert_ok(ingest_step(ingest, err));
    ingest_forget(ingest);
    assert_ok(ingest_step(ingest, err));

    assert_int_equal(stream.rewound, 102);
    assert_int_equal(fake_pg.position, 103);
    assert_int_equal(fake_pg.id_count, 6);
    ingest_free(&ingest);
}

/* What /metrics says of partition 0. */
static double told_of(const char *name)
{
    size_t size_bytes = 0;
    char *text = metrics_render(&size_bytes);
    char key[100];
    const char *line;
    double value;

    assert_non_null(text);
    snprintf(key, sizeof(key), "\nadledger_%s{partition=\"0\"} ", name);
    line = strstr(text, key);
    assert_non_null(line);
    value = strtod(line + strlen(key), NULL);
    free(text);
    return value;
}

TEST(what_is_told_of_a_partition_goes_with_its_lease)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    assert_ok(ingest_metrics_open(1, err));
    clock_sleep_ms(-30000); /* the gateway's clock is 30 s ahead of ours */
    assert_ok(ingest_step(ingest, err));
    stream.state.last_seq = 100;
    for (int i = 0; i < 2; i++) {
        ingest_forget(ingest);
        assert_ok(ingest_step(ingest, err));
        clock_sleep_ms(BEHIND_SURE_MS);
    }
    ingest_forget(ingest);
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(told_of("reader_clock_skew_seconds"), 30);
    assert_int_equal(told_of("reader_stream_behind_messages"), 3);

    ingest_release(ingest);
    assert_int_equal(told_of("reader_clock_skew_seconds"), 0);
    assert_int_equal(told_of("reader_stream_behind_messages"), 0);
    ingest_free(&ingest);
}

TEST(the_days_of_rows_and_batches_are_made_when_they_are_missing)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.is_day_missing = true;
    fake_pg.is_batch_day_missing = true;
    assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.position, 100);

    assert_ok(ingest_step(ingest, err));
    assert_int_equal(fake_pg.position, 103);
    ingest_free(&ingest);
}

TEST(the_day_of_a_batch_without_events_is_made_as_well)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    for (unsigned i = 0; i < MESSAGES; i++) {
        message_begin(&stream.bodies[i], i + 1, clock_at_ms());
        stream.messages[i] = message_end(&stream.bodies[i], 101 + i);
    }
    fake_pg.is_batch_day_missing = true;
    assert_ok(ingest_step(ingest, err));
    assert_ok(ingest_step(ingest, err));

    assert_int_equal(fake_pg.position, 103);
    ingest_free(&ingest);
}

TEST(days_that_take_no_rows_although_they_are_there_are_a_failure_and_no_endless_loop)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    fake_pg.is_day_missing = true;
    fake_pg.is_day_stuck = true;
    assert_ok(ingest_step(ingest, err));
    assert_fails(ERROR_INTERNAL, ingest_step(ingest, err));
    assert_true(ingest_is_blocked(ingest));

    fake_pg.is_day_stuck = false;
    clock_sleep_ms(ingest_wait_ms(ingest));
    for (int i = 0; i <= MESSAGES; i++)
        assert_ok(ingest_step(ingest, err)); /* the day first, then one message at a time */
    assert_int_equal(fake_pg.position, 103);
    ingest_free(&ingest);
}

TEST(a_stream_that_is_gone_is_made_again)
{
    struct ingest *ingest = ingest_behind_three_messages(4000);

    assert_ok(ingest_step(ingest, err));
    stream.is_gone = true;
    assert_fails(ERROR_INVALID, ingest_step(ingest, err));
    assert_ok(ingest_step(ingest, err));

    assert_int_equal(stream.ensured, 2);
    ingest_free(&ingest);
}

TESTS(RUN(a_step_stores_what_it_fetched_and_moves_on),
      RUN(a_fetch_larger_than_a_transaction_is_stored_in_several_without_splitting_a_message),
      RUN(reads_again_from_the_stored_position_when_an_uncertain_commit_had_no_effect),
      RUN(goes_on_behind_an_uncertain_commit_that_took_effect),
      RUN(reads_its_position_again_after_another_process_has_moved_it),
      RUN(a_database_that_is_down_opens_the_breaker_and_nothing_is_fetched),
      RUN(a_connection_that_comes_back_ends_the_breakers_wait),
      RUN(what_a_lock_has_stopped_is_tried_again_as_it_is_held),
      RUN(after_three_retries_the_step_fails_and_reads_again),
      RUN(a_lease_lost_between_two_transactions_of_a_fetch_costs_a_second_reading_and_no_event),
      RUN(what_is_told_of_a_partition_goes_with_its_lease),
      RUN(the_days_of_rows_and_batches_are_made_when_they_are_missing),
      RUN(the_day_of_a_batch_without_events_is_made_as_well),
      RUN(days_that_take_no_rows_although_they_are_there_are_a_failure_and_no_endless_loop),
      RUN(a_stream_that_is_gone_is_made_again))
