/* A step with the real store over a fake database, and a fake stream. */
#include "ingest.h"

#include "check.h"
#include "clients/reader.h"
#include "day.h"
#include "fake_pg.h"
#include "messages.h"
#include "runtime/clock.h"

#include <string.h>

enum { MESSAGES = 3 };

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
    assert_int_equal(stream.rewinds, 0);
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
      RUN(a_stream_that_is_gone_is_made_again))
