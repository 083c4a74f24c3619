#include "store.h"

#include "batch.h"
#include "database.h"
#include "event/event_id.h"
#include "messages.h"

#include <pthread.h>

enum { RETENTION = 90 };

static struct message message;

/* One message with clicks first..last, each for its own ad of ten. */
static struct batch *batch_of(uint64_t seq, uint64_t batch_no, uint8_t first, uint8_t last,
                              struct error *err)
{
    struct batch *batch = batch_new(0, RETENTION);
    int64_t at_ms = day_of_ms(clock_at_ms()) * DAY_MS + 1000;
    struct reader_message sent;

    assert_non_null(batch);
    batch_reset(batch, clock_at_ms());
    message_begin(&message, batch_no, at_ms);
    for (uint8_t i = first; i <= last; i++) {
        char ad_id[16];
        struct event event;

        snprintf(ad_id, sizeof(ad_id), "ad-%u", i % 10U);
        event = click_of(ad_id, at_ms, i);
        event.playback_ms = i;
        message_add(&message, &event);
    }
    sent = message_end(&message, seq);
    assert_ok(batch_add(batch, &sent, err));
    return batch;
}

static struct store_outcome write_batch(struct store *store, uint64_t expected, struct batch *batch,
                                        struct error *err)
{
    struct store_outcome outcome;

    assert_ok(store_write(store, batch, expected, &outcome, err));
    batch_free(&batch);
    return outcome;
}

static void assert_sums_are_exact(struct pg *pg, struct error *err)
{
    assert_int_equal(
        ask_number(pg,
                   "SELECT count(*) FROM (SELECT ad_id, type, reason, count(*) FROM events GROUP BY"
                   " 1, 2, 3) e FULL JOIN (SELECT ad_id, type, reason, sum(count) FROM ad_quarter"
                   " GROUP BY 1, 2, 3) q USING (ad_id, type, reason) FULL JOIN ad_total t"
                   " USING (ad_id, type, reason)"
                   " WHERE e.count IS DISTINCT FROM q.sum OR e.count IS DISTINCT FROM t.count",
                   err),
        0);
}

TEST(rows_sums_and_position_come_together)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct store_outcome outcome;
    uint64_t position = 0;
    bool is_found = true;

    assert_ok(store_read_position(store, &position, &is_found, err));
    assert_false(is_found);
    assert_ok(store_first_position(store, 100, err));
    outcome = write_batch(store, 100, batch_of(101, 1, 1, 50, err), err);
    assert_int_equal(outcome.stored, 50);
    assert_int_equal(outcome.way, STORE_BY_COPY);
    assert_int_equal(write_batch(store, 101, batch_of(102, 2, 51, 99, err), err).stored, 49);

    assert_ok(store_read_position(store, &position, &is_found, err));
    assert_int_equal(position, 102);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 99);
    assert_int_equal(ask_number(pg, "SELECT sum(stored) FROM batches", err), 99);
    assert_int_equal(ask_number(pg, "SELECT max(last_seq) FROM ad_quarter", err), 102);
    assert_sums_are_exact(pg, err);
}

TEST(a_replayed_batch_and_a_repeated_event_count_once_and_mark_their_quarters)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct store_outcome outcome;

    assert_ok(store_first_position(store, 100, err));
    (void)write_batch(store, 100, batch_of(101, 1, 1, 50, err), err);
    outcome = write_batch(store, 101, batch_of(102, 1, 1, 50, err), err);
    assert_int_equal(outcome.batches_seen, 1);
    assert_int_equal(outcome.duplicates, 50);
    assert_int_equal(outcome.way, STORE_BY_INSERT); /* the claim had told */
    assert_false(outcome.is_copy_refused);
    outcome = write_batch(store, 102, batch_of(103, 2, 41, 60, err), err);
    assert_int_equal(outcome.stored, 10);
    assert_int_equal(outcome.duplicates, 10);
    assert_int_equal(outcome.way, STORE_BY_INSERT);
    assert_true(outcome.is_copy_refused);

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 60);
    assert_int_equal(ask_number(pg, "SELECT stored FROM batches WHERE batch_no = 2", err), 10);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM dirty", err), 10);
    assert_int_equal(ask_number(pg, "SELECT max(seq) FROM dirty", err), 103);
    assert_sums_are_exact(pg, err);
}

TEST(skipped_messages_mark_the_partition)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);

    assert_ok(store_first_position(store, 100, err));
    (void)write_batch(store, 100, batch_of(101, 1, 1, 50, err), err);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM dirty", err), 0);
    (void)write_batch(store, 101, batch_of(500, 9, 51, 99, err), err);

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM dirty", err), 1);
    assert_int_equal(
        ask_number(pg, "SELECT seq FROM dirty WHERE ad_id = '' AND quarter_at = 'epoch'", err),
        500);
}

TEST(no_event_is_lost_when_two_batches_bear_one_number)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct store_outcome outcome;

    assert_ok(store_first_position(store, 100, err));
    (void)write_batch(store, 100, batch_of(101, 1, 1, 50, err), err);
    outcome = write_batch(store, 101, batch_of(102, 1, 46, 60, err), err);

    assert_int_equal(outcome.stored, 10);
    assert_int_equal(outcome.duplicates, 5);
    assert_int_equal(outcome.batches_reused, 1);
    assert_int_equal(ask_number(pg, "SELECT stored FROM batches", err), 50);
    assert_sums_are_exact(pg, err);
}

TEST(an_event_that_comes_twice_in_one_transaction_is_copied_once)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct batch *batch = batch_of(101, 1, 1, 50, err);
    struct store_outcome outcome;

    assert_ok(store_first_position(store, 100, err));
    batch->rows[7].event = batch->rows[3].event;
    batch->rows[49].event = batch->rows[3].event;
    outcome = write_batch(store, 100, batch, err);

    assert_int_equal(outcome.way, STORE_BY_COPY);
    assert_int_equal(outcome.stored, 48);
    assert_int_equal(outcome.duplicates, 2);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 48);
    assert_int_equal(ask_number(pg, "SELECT stored FROM batches", err), 48);
    assert_sums_are_exact(pg, err);
}

TEST(copies_and_inserts_take_turns_and_every_event_counts_once)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    uint64_t stored = 0;
    int refused = 0;

    assert_ok(store_first_position(store, 100, err));
    for (uint8_t i = 0; i < 40; i++) { /* each repeats half of the one before */
        struct store_outcome outcome = write_batch(
            store, 100 + i,
            batch_of(101 + i, 1 + i, (uint8_t)(1 + i * 5), (uint8_t)(10 + i * 5), err), err);

        stored += outcome.stored;
        refused += outcome.is_copy_refused;
    }

    assert_int_equal(stored, 205);
    assert_int_equal(refused, 3); /* of the transactions 2, 10 and 26 */
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 205);
    assert_int_equal(ask_number(pg, "SELECT sum(stored) FROM batches", err), 205);
    assert_sums_are_exact(pg, err);
}

TEST(a_row_names_the_message_that_brought_it_and_its_batch_when_it_was_stored)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);

    assert_ok(store_first_position(store, 100, err));
    (void)write_batch(store, 100, batch_of(101, 1, 1, 10, err), err); /* by COPY */
    (void)write_batch(store, 101, batch_of(102, 2, 6, 15, err), err); /* by INSERT, half of it */

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events WHERE seq = 101", err), 10);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events WHERE seq = 102", err), 5);
    assert_int_equal(
        ask_number(pg, "SELECT count(*) FROM batches WHERE stored_at > now() - interval '1 minute'",
                   err),
        2);
}

TEST(freshness_never_goes_back)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    const char *sql = "SELECT extract(epoch FROM fresh_at) * 1000 FROM positions";

    assert_ok(store_first_position(store, 100, err));
    assert_ok(store_set_fresh(store, 1700000000123, err));
    assert_int_equal(ask_number(pg, sql, err), 1700000000123);
    assert_ok(store_set_fresh(store, 1700000000000, err));
    assert_int_equal(ask_number(pg, sql, err), 1700000000123);

    for (uint64_t i = 0; i < 2; i++) { /* the second was taken by the stream's server before */
        struct batch *batch = batch_of(101 + i, 1 + i, 1, 5, err);

        batch->heads[0].stored_at_ms = 1700000005000 - (int64_t)i * 1000;
        (void)write_batch(store, 100 + i, batch, err);
        assert_int_equal(ask_number(pg, sql, err), 1700000005000);
    }
}

struct writer {
    struct store *store;
    struct batch *batch;
    struct store_outcome outcome;
    struct error err;
    bool is_done;
};

static void *on_writer(void *ctx)
{
    struct writer *writer = ctx;

    writer->is_done =
        store_write(writer->store, writer->batch, 100, &writer->outcome, &writer->err);
    return NULL;
}

/* Someone waits for a transaction's end, as a COPY does that meets a row which is not committed. */
static void wait_for_a_waiter(struct pg *pg, struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + 5000;

    while (ask_number(pg,
                      "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid'"
                      " AND NOT granted",
                      err) == 0) {
        assert_true(clock_now_ms() < deadline_ms);
        clock_sleep_ms(10);
    }
}

/* In a transaction of its own that stays open, an event that a batch has as well. */
static void hold_event(struct pg *pg, const struct event *event, struct error *err)
{
    char id[EVENT_ID_TEXT_SIZE];
    char sql[256];

    event_id_format(event->id, id);
    snprintf(sql, sizeof(sql),
             "INSERT INTO events (event_id, type, reason, flags, ad_id, event_at, received_at)"
             " VALUES ('%s', 1, 0, 0, 'ad-5', now(), now())",
             id);
    assert_ok(pg_begin(pg, "", err));
    assert_ok(pg_query(pg, NULL, sql, NULL, 0, NULL, err));
}

TEST(a_copy_waits_for_a_writer_of_the_same_event_and_then_finds_it_there)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(pg_close) struct pg *other_pg = pg_on(server);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct writer writer = {.store = store, .batch = batch_of(101, 1, 1, 10, err)};
    pthread_t thread;

    assert_ok(store_first_position(store, 100, err));
    hold_event(other_pg, &writer.batch->rows[4].event, err);
    assert_int_equal(pthread_create(&thread, NULL, on_writer, &writer), 0);
    wait_for_a_waiter(other_pg, err);
    assert_ok(pg_commit(other_pg, err));
    assert_int_equal(pthread_join(thread, NULL), 0);

    assert_true(writer.is_done);
    assert_true(writer.outcome.is_copy_refused);
    assert_int_equal(writer.outcome.stored, 9);
    assert_int_equal(writer.outcome.duplicates, 1);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 10);
    batch_free(&writer.batch);
}

TEST(a_server_killed_during_a_copy_leaves_nothing_of_it)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(pg_close) struct pg *other_pg = pg_on(server);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct writer writer = {.store = store, .batch = batch_of(101, 1, 1, 10, err)};
    struct store_outcome outcome;
    pthread_t thread;

    assert_ok(store_first_position(store, 100, err));
    hold_event(other_pg, &writer.batch->rows[9].event, err);
    assert_int_equal(pthread_create(&thread, NULL, on_writer, &writer), 0);
    wait_for_a_waiter(other_pg, err);
    server_kill(server);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(writer.is_done);
    assert_int_equal(writer.err.kind, ERROR_UNAVAILABLE);
    pg_rollback(other_pg);

    server_start(server);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 0);
    outcome = write_batch(store, 100, TAKE(writer.batch), err);
    assert_int_equal(outcome.way, STORE_BY_COPY);
    assert_int_equal(outcome.stored, 10);
    assert_sums_are_exact(pg, err);
}

TEST(of_two_writers_of_one_position_one_wins)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(pg_close) struct pg *other_pg = pg_on(server);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    AUTO(store_free) struct store *other = store_new(other_pg, 0);

    assert_ok(store_first_position(store, 100, err));
    assert_int_equal(write_batch(store, 100, batch_of(101, 1, 1, 10, err), err).verdict,
                     STORE_DONE);
    assert_int_equal(write_batch(other, 100, batch_of(101, 1, 1, 10, err), err).verdict,
                     STORE_LOST);

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 10);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM dirty", err), 0);
}

TEST(poison_rows_are_set_aside_and_the_rest_is_stored)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct store_outcome outcome;

    assert_ok(store_first_position(store, 100, err));
    assert_ok(pg_script(
        pg, "ALTER TABLE events ADD CONSTRAINT poison CHECK (playback_ms NOT IN (7, 77))", err));
    outcome = write_batch(store, 100, batch_of(101, 1, 1, 99, err), err);

    assert_int_equal(outcome.stored, 97);
    assert_int_equal(outcome.way, STORE_BY_HALVES);
    assert_int_equal(outcome.letters[LETTER_REFUSED], 2);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM events", err), 97);
    assert_int_equal(ask_number(pg,
                                "SELECT count(*) FROM dead_letters WHERE code = '23514' AND"
                                " index IN (6, 76) AND length(payload) > 30 AND ad_id = 'ad-7'",
                                err),
                     2);
    assert_int_equal(ask_number(pg, "SELECT dead FROM batches", err), 2);
    assert_sums_are_exact(pg, err);
}

TEST(a_missing_day_is_told_apart_and_can_be_made)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_on(server);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    size_t applied = 0;

    assert_ok(migrate_apply(pg, &applied, err));
    assert_ok(store_first_position(store, 100, err));
    assert_int_equal(write_batch(store, 100, batch_of(101, 1, 1, 10, err), err).verdict,
                     STORE_NO_DAY);

    assert_ok(partitions_make(pg, day_of_ms(clock_at_ms()), err));
    assert_int_equal(write_batch(store, 100, batch_of(101, 1, 1, 10, err), err).stored, 10);
}

TEST(a_killed_server_leaves_all_of_a_transaction_or_nothing)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct batch *batch = batch_of(102, 2, 51, 60, err);
    struct store_outcome outcome;
    uint64_t position = 0;
    bool is_found = false;

    assert_ok(store_first_position(store, 100, err));
    (void)write_batch(store, 100, batch_of(101, 1, 1, 50, err), err);
    server_kill(server);
    assert_fails(ERROR_UNAVAILABLE, store_write(store, batch, 101, &outcome, err));
    batch_free(&batch);

    server_start(server);
    assert_ok(store_read_position(store, &position, &is_found, err));
    assert_int_equal(position, 101);
    assert_int_equal(write_batch(store, 101, batch_of(102, 2, 51, 60, err), err).stored, 10);
    assert_sums_are_exact(pg, err);
}

TESTS(RUN(rows_sums_and_position_come_together),
      RUN(a_replayed_batch_and_a_repeated_event_count_once_and_mark_their_quarters),
      RUN(skipped_messages_mark_the_partition),
      RUN(no_event_is_lost_when_two_batches_bear_one_number),
      RUN(an_event_that_comes_twice_in_one_transaction_is_copied_once),
      RUN(copies_and_inserts_take_turns_and_every_event_counts_once),
      RUN(a_copy_waits_for_a_writer_of_the_same_event_and_then_finds_it_there),
      RUN(a_server_killed_during_a_copy_leaves_nothing_of_it),
      RUN(of_two_writers_of_one_position_one_wins),
      RUN(poison_rows_are_set_aside_and_the_rest_is_stored),
      RUN(a_missing_day_is_told_apart_and_can_be_made),
      RUN(a_killed_server_leaves_all_of_a_transaction_or_nothing),
      RUN(a_row_names_the_message_that_brought_it_and_its_batch_when_it_was_stored),
      RUN(freshness_never_goes_back))
