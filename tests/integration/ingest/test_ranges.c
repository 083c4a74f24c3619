#include "batch.h"
#include "database.h"
#include "messages.h"
#include "store.h"

static struct message message;

static struct codec_ranges one_range(uint64_t first, uint64_t last, uint64_t events)
{
    return (struct codec_ranges){.count = 1, .rows = {{first, last, events}}};
}

/* A message without events that tells of ranges. */
static struct reader_message heartbeat(uint64_t seq, uint64_t batch_no, struct codec_ranges spooled,
                                       struct codec_ranges abandoned)
{
    message_begin(&message, batch_no, clock_at_ms());
    message.header.settled_below = batch_no;
    message.header.accepted = 7;
    message.header.spooled = spooled;
    message.header.abandoned = abandoned;
    return message_end(&message, seq);
}

static struct store_outcome write_message(struct store *store, const struct reader_message *sent,
                                          struct error *err)
{
    struct batch *batch = batch_new(0, 90);
    struct store_outcome outcome;

    assert_non_null(batch);
    batch_reset(batch, clock_at_ms());
    assert_ok(batch_add(batch, sent, err));
    assert_ok(store_write(store, batch, sent->seq - 1, &outcome, err));
    batch_free(&batch);
    return outcome;
}

TEST(a_heartbeat_is_filed_and_moves_the_position)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct reader_message sent =
        heartbeat(101, 9, (struct codec_ranges){0}, (struct codec_ranges){0});

    assert_ok(store_first_position(store, 100, err));
    assert_int_equal(write_message(store, &sent, err).verdict, STORE_DONE);

    assert_int_equal(ask_number(pg, "SELECT seq FROM positions", err), 101);
    assert_int_equal(ask_number(pg,
                                "SELECT count(*) FROM batches WHERE batch_no = 9 AND events = 0"
                                " AND stored = 0 AND dead = 0 AND settled_below = 9"
                                " AND accepted = 7",
                                err),
                     1);
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM batch_ranges", err), 0);
}

TEST(ranges_are_kept_with_the_batch_that_tells_them_and_only_grow)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct reader_message sent = heartbeat(101, 9, one_range(3, 4, 20), one_range(5, 5, 2));

    assert_ok(store_first_position(store, 100, err));
    (void)write_message(store, &sent, err);
    sent = heartbeat(102, 10, one_range(3, 8, 60), one_range(5, 5, 2));
    (void)write_message(store, &sent, err);
    sent = heartbeat(103, 11, one_range(3, 6, 40), one_range(5, 5, 1)); /* an older telling, late */
    (void)write_message(store, &sent, err);

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM batch_ranges", err), 2);
    assert_int_equal(
        ask_number(pg, "SELECT last_no FROM batch_ranges WHERE fate = 1 AND first_no = 3", err), 8);
    assert_int_equal(ask_number(pg, "SELECT events FROM batch_ranges WHERE fate = 1", err), 60);
    assert_int_equal(ask_number(pg, "SELECT events FROM batch_ranges WHERE fate = 2", err), 2);
    assert_int_equal(ask_number(pg,
                                "SELECT count(*) FROM batch_ranges WHERE fate = 1 AND told_at ="
                                " (SELECT min(sent_at) FROM batches)",
                                err),
                     1);
}

TEST(one_transaction_takes_two_tellings_of_one_range)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct batch *batch = batch_new(0, 90);
    struct store_outcome outcome;
    static struct message second;
    struct reader_message sent = heartbeat(101, 9, one_range(3, 4, 20), (struct codec_ranges){0});

    assert_ok(store_first_position(store, 100, err));
    batch_reset(batch, clock_at_ms());
    assert_ok(batch_add(batch, &sent, err));
    message_begin(&second, 10, clock_at_ms());
    second.header.spooled = one_range(3, 7, 50);
    sent = message_end(&second, 102);
    assert_ok(batch_add(batch, &sent, err));
    assert_ok(store_write(store, batch, 100, &outcome, err));
    batch_free(&batch);

    assert_int_equal(ask_number(pg, "SELECT count(*) FROM batch_ranges", err), 1);
    assert_int_equal(ask_number(pg, "SELECT last_no FROM batch_ranges", err), 7);
    assert_int_equal(ask_number(pg, "SELECT events FROM batch_ranges", err), 50);
}

TEST(a_read_only_database_stores_nothing_and_makes_no_dead_letter)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    AUTO(pg_close) struct pg *pg = pg_with_schema(server, err);
    AUTO(store_free) struct store *store = store_new(pg, 0);
    struct batch *batch = batch_new(0, 90);
    struct event event = click_of("ad-001", clock_at_ms(), 1);
    struct store_outcome outcome;
    struct reader_message sent;

    assert_ok(store_first_position(store, 100, err));
    message_begin(&message, 1, clock_at_ms());
    message_add(&message, &event);
    sent = message_end(&message, 101);
    batch_reset(batch, clock_at_ms());
    assert_ok(batch_add(batch, &sent, err));
    assert_ok(pg_script(pg, "SET default_transaction_read_only = on", err));

    assert_fails(ERROR_INTERNAL, store_write(store, batch, 100, &outcome, err));
    assert_string_equal(pg_sqlstate(pg), "25006");

    assert_ok(pg_script(pg, "SET default_transaction_read_only = off", err));
    assert_int_equal(ask_number(pg, "SELECT count(*) FROM dead_letters", err), 0);
    assert_ok(store_write(store, batch, 100, &outcome, err)); /* it was nobody's fault */
    assert_int_equal(outcome.stored, 1);
    batch_free(&batch);
}

TESTS(RUN(a_heartbeat_is_filed_and_moves_the_position),
      RUN(ranges_are_kept_with_the_batch_that_tells_them_and_only_grow),
      RUN(one_transaction_takes_two_tellings_of_one_range),
      RUN(a_read_only_database_stores_nothing_and_makes_no_dead_letter))
