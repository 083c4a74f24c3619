#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/reader.h"

#include <stdlib.h>

enum { MESSAGES_MAX = 500, BYTES_MAX = 1 << 20, REQUEST_MS = 1000 };

/* The stream of a server that has just started, with count messages. */
static uint64_t stream_with(struct bus *bus, uint64_t count, struct error *err)
{
    struct stream_state state;

    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, clock_at_ms(), err));
    publish(bus, 0, count);
    assert_ok(stream_get_state(bus, 0, &state, err));
    return state.first_seq;
}

static struct reader *reader_on(struct bus *bus, struct error *err)
{
    const struct reader_options options = {.partition = 0,
                                           .messages_max = MESSAGES_MAX,
                                           .bytes_max = BYTES_MAX,
                                           .request_ms = REQUEST_MS};
    struct reader *reader = reader_new(bus, &options, err);

    assert_non_null(reader);
    return reader;
}

static uint64_t number_in(const struct reader_message *message)
{
    char text[24] = "";

    assert_in_range(message->size_bytes, 1, sizeof(text) - 1);
    memcpy(text, message->bytes, message->size_bytes);
    return strtoull(text, NULL, 10);
}

/*
 * Reads at least until `to` has been seen, whatever fails in between; every number once and in
 * order. Returns the number that comes next.
 */
static uint64_t read_in_order(struct reader *reader, uint64_t from, uint64_t to, int64_t within_ms,
                              struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + within_ms;

    while (from < to) {
        const struct reader_message *messages;
        size_t count;

        if (clock_now_ms() > deadline_ms)
            fail_msg("stuck at %" PRIu64 " of %" PRIu64 ": %s", from, to, err->text);
        if (!reader_fetch(reader, 500, 0, &messages, &count, err)) {
            assert_int_equal(err->kind, ERROR_UNAVAILABLE);
            clock_sleep_ms(20);
            continue;
        }
        for (size_t i = 0; i < count; i++)
            assert_int_equal(number_in(&messages[i]), from++);
        if (count > 0)
            reader_advance(reader, messages[count - 1].seq);
    }
    return from;
}

TEST(reads_from_the_beginning_in_order_and_says_what_is_left)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    uint64_t first = stream_with(bus, 1200, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    size_t count;

    assert_ok(reader_fetch(reader, 2000, 2000, &messages, &count, err));

    assert_int_equal(count, MESSAGES_MAX);
    assert_int_equal(messages[0].seq, first);
    assert_int_equal(messages[count - 1].seq, first + count - 1);
    assert_in_range(messages[0].stored_at_ms, clock_at_ms() - 60000, clock_at_ms() + 1000);
    assert_int_equal(reader_gap(reader), 0);
    assert_int_equal(reader_pending(reader), 1200 - MESSAGES_MAX);
    reader_advance(reader, messages[count - 1].seq);
    (void)read_in_order(reader, MESSAGES_MAX, 1200, 5000, err);
}

TEST(an_empty_stream_costs_the_wait_and_no_more)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    int64_t start_ms;
    size_t count = 1;

    (void)stream_with(bus, 0, err);
    assert_ok(reader_fetch(reader, 0, 0, &messages, &count, err));
    start_ms = clock_now_ms();
    assert_ok(reader_fetch(reader, 300, 1000, &messages, &count, err));

    assert_int_equal(count, 0);
    assert_in_range(clock_now_ms() - start_ms, 290, 600);
}

TEST(a_message_that_comes_while_it_waits_is_there_at_once)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    int64_t start_ms;
    size_t count = 0;

    (void)stream_with(bus, 0, err);
    assert_ok(reader_fetch(reader, 2500, 0, &messages, &count, err)); /* a request has expired */
    assert_int_equal(count, 0);
    publish(bus, 0, 1);
    start_ms = clock_now_ms();
    assert_ok(reader_fetch(reader, 2000, 0, &messages, &count, err));

    assert_int_equal(count, 1);
    assert_in_range(clock_now_ms() - start_ms, 0, 100);
}

TEST(lingers_for_more_and_stops_at_the_limit_of_bytes)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    const struct reader_options options = {
        .partition = 0, .messages_max = 100, .bytes_max = 300000, .request_ms = REQUEST_MS};
    AUTO(reader_close) struct reader *reader = reader_new(bus, &options, err);
    AUTO(auto_free) char *payload = calloc(1, 200000);
    const struct reader_message *messages;
    size_t count;

    (void)stream_with(bus, 0, err);
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            js_Publish(NULL, bus_jetstream(bus), "ads.events.0", payload, 200000, NULL, NULL),
            NATS_OK);
    for (int left = 5; left > 0; left -= (int)count) {
        assert_ok(reader_fetch(reader, 1000, 200, &messages, &count, err));
        assert_int_equal(count, left >= 2 ? 2 : 1); /* the second one passes the limit */
        reader_advance(reader, messages[count - 1].seq);
    }
}

TEST(what_was_not_advanced_comes_again)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    uint64_t first = stream_with(bus, 10, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    size_t count;

    assert_ok(reader_fetch(reader, 1000, 200, &messages, &count, err));
    assert_int_equal(count, 10);
    reader_advance(reader, first + 3);
    assert_ok(reader_fetch(reader, 1000, 200, &messages, &count, err));
    assert_int_equal(count, 6);
    assert_int_equal(messages[0].seq, first + 4);

    reader_rewind(reader, first + 8);
    assert_ok(reader_fetch(reader, 1000, 200, &messages, &count, err));
    assert_int_equal(count, 1);
    assert_int_equal(messages[0].seq, first + 9);
    assert_int_equal(reader_gap(reader), 0);
}

TEST(a_hole_in_the_sequence_ends_one_fetch_and_is_told_by_the_next)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    uint64_t first = stream_with(bus, 10, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    size_t count;

    assert_int_equal(js_DeleteMsg(bus_jetstream(bus), "ADS_0", first + 4, NULL, NULL), NATS_OK);
    assert_int_equal(js_DeleteMsg(bus_jetstream(bus), "ADS_0", first + 5, NULL, NULL), NATS_OK);
    assert_ok(reader_fetch(reader, 1000, 200, &messages, &count, err));
    assert_int_equal(count, 4);
    reader_advance(reader, first + 3);
    assert_ok(reader_fetch(reader, 1000, 200, &messages, &count, err));

    assert_int_equal(count, 4);
    assert_int_equal(messages[0].seq, first + 6);
    assert_int_equal(reader_gap(reader), 2);
}

TEST(ten_thousand_messages_keep_their_order_over_a_kill_and_a_restart)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);

    (void)stream_with(bus, 10000, err);
    uint64_t next = read_in_order(reader, 0, MESSAGES_MAX, 5000, err);
    server_kill(nats);
    assert_true(wait_until_connected(bus, false));
    server_start(nats);
    (void)read_in_order(reader, next, 10000, 20000, err);
}

TEST(a_frozen_broker_never_holds_a_fetch_past_its_deadline)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    size_t count;

    (void)stream_with(bus, 1500, err);
    (void)read_in_order(reader, 0, MESSAGES_MAX, 5000, err);
    server_freeze(nats);
    for (int i = 0; i < 12; i++) {
        int64_t start_ms = clock_now_ms();

        if (reader_fetch(reader, 500, 0, &messages, &count, err))
            reader_rewind(reader, count == 0 ? 0 : messages[0].seq - 1);
        assert_in_range(clock_now_ms() - start_ms, 0, 500 + REQUEST_MS + 500);
    }
    server_thaw(nats);
    reader_rewind(reader, 0);
    (void)read_in_order(reader, 0, 1500, 20000, err);
}

/* How old the numbers of an idle partition are rests on it. */
TEST(only_the_server_says_that_there_is_nothing_more)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    size_t count;
    int64_t frozen_at_ms;

    (void)stream_with(bus, 3, err);
    assert_ok(reader_fetch(reader, 2000, 0, &messages, &count, err));
    assert_int_equal(reader_drained_at_ms(reader), 0);
    reader_advance(reader, messages[count - 1].seq);
    (void)read_in_order(reader, count, 3, 5000, err);
    assert_ok(reader_fetch(reader, 1500, 0, &messages, &count, err));
    assert_in_range(clock_at_ms() - reader_drained_at_ms(reader), 0, 1400);
    assert_int_equal(reader_pending(reader), 0);

    server_freeze(nats);
    clock_sleep_ms(100); /* what was under way has arrived */
    frozen_at_ms = clock_at_ms();
    for (int i = 0; i < 4; i++) {
        if (!reader_fetch(reader, 300, 0, &messages, &count, err))
            assert_int_equal(err->kind, ERROR_UNAVAILABLE);
        assert_in_range(reader_drained_at_ms(reader), 1, frozen_at_ms);
    }
    server_thaw(nats);
}

TEST(a_word_that_waited_unread_tells_of_its_own_time)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    size_t count;
    int64_t published_at_ms;

    (void)stream_with(bus, 3, err);
    (void)read_in_order(reader, 0, 3, 5000, err);
    assert_ok(reader_fetch(reader, 100, 0, &messages, &count, err));
    clock_sleep_ms(1000); /* the pull request that is open ends, and nobody reads that */
    published_at_ms = clock_at_ms();
    publish(bus, 3, 1);
    server_freeze(nats);
    assert_ok(reader_fetch(reader, 300, 0, &messages, &count, err));
    assert_int_equal(count, 0);
    assert_in_range(reader_drained_at_ms(reader), published_at_ms - 1200, published_at_ms);
    server_thaw(nats);
}

TEST(a_stream_made_anew_is_read_on_and_the_loss_is_told)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    uint64_t first = stream_with(bus, 100, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    const struct reader_message *messages;
    uint64_t position = first + 50;
    size_t count = 0;

    (void)read_in_order(reader, 0, 100, 5000, err);
    assert_int_equal(js_DeleteStream(bus_jetstream(bus), "ADS_0", NULL, NULL), NATS_OK);
    while (reader_fetch(reader, 300, 0, &messages, &count, err) || err->kind != ERROR_INVALID)
        assert_int_equal(count, 0);
    assert_ok(stream_ensure(bus, 0, &fixture_limits, position + 1000, 0, err));
    publish(bus, 100, 20);
    assert_ok(reader_fetch(reader, 1000, 100, &messages, &count, err));

    assert_int_equal(count, 20);
    assert_int_equal(number_in(&messages[0]), 100);
    assert_int_equal(messages[0].seq, position + 1001);
    assert_int_equal(reader_gap(reader), position + 1000 - (first + 99));
}

TEST(a_deleted_consumer_is_made_anew_without_a_loss)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    AUTO(reader_close) struct reader *reader = reader_on(bus, err);
    jsConsumerInfoList *list = NULL;

    (void)stream_with(bus, 2000, err);
    uint64_t next = read_in_order(reader, 0, MESSAGES_MAX, 5000, err);
    assert_int_equal(js_Consumers(&list, bus_jetstream(bus), "ADS_0", NULL, NULL), NATS_OK);
    assert_int_equal(list->Count, 1);
    assert_int_equal(
        js_DeleteConsumer(bus_jetstream(bus), "ADS_0", list->List[0]->Name, NULL, NULL), NATS_OK);
    jsConsumerInfoList_Destroy(list);
    (void)read_in_order(reader, next, 2000, 10000, err);
}

TEST(two_readers_do_not_disturb_each_other_and_leave_no_consumer_behind)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct reader *one = reader_on(bus, err);
    struct reader *two = reader_on(bus, err);
    jsConsumerInfoList *list = NULL;
    uint64_t by_one = 0;
    uint64_t by_two = 0;

    (void)stream_with(bus, 3000, err);
    while (by_one < 3000 || by_two < 3000) {
        by_one = read_in_order(one, by_one, by_one + (by_one < 3000), 5000, err);
        by_two = read_in_order(two, by_two, by_two + (by_two < 3000), 5000, err);
    }
    reader_close(&one);
    reader_close(&two);
    assert_int_equal(natsConnection_FlushTimeout(bus_connection(bus), 1000), NATS_OK);
    if (js_Consumers(&list, bus_jetstream(bus), "ADS_0", NULL, NULL) == NATS_OK)
        assert_int_equal(list->Count, 0);
    jsConsumerInfoList_Destroy(list);
}

TESTS(RUN(reads_from_the_beginning_in_order_and_says_what_is_left),
      RUN(an_empty_stream_costs_the_wait_and_no_more),
      RUN(a_message_that_comes_while_it_waits_is_there_at_once),
      RUN(lingers_for_more_and_stops_at_the_limit_of_bytes), RUN(what_was_not_advanced_comes_again),
      RUN(a_hole_in_the_sequence_ends_one_fetch_and_is_told_by_the_next),
      RUN(ten_thousand_messages_keep_their_order_over_a_kill_and_a_restart),
      RUN(a_frozen_broker_never_holds_a_fetch_past_its_deadline),
      RUN(only_the_server_says_that_there_is_nothing_more),
      RUN(a_word_that_waited_unread_tells_of_its_own_time),
      RUN(a_stream_made_anew_is_read_on_and_the_loss_is_told),
      RUN(a_deleted_consumer_is_made_anew_without_a_loss),
      RUN(two_readers_do_not_disturb_each_other_and_leave_no_consumer_behind))
