#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/js_api.h"

static const struct stream_limits *const limits = &fixture_limits;

TEST(a_new_stream_begins_at_the_clock_and_its_sequences_are_dense)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    int64_t at_ms = clock_at_ms();
    struct stream_state state;
    int64_t stored_at_ms;

    assert_ok(stream_ensure(bus, 0, limits, 0, at_ms, err));
    publish(bus, 0, 10);

    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.first_seq, at_ms * 1000);
    assert_int_equal(state.last_seq, at_ms * 1000 + 9);
    assert_int_equal(state.messages, 10);
    assert_in_range(state.created_at_ms, at_ms - 1000, at_ms + 10000);
    assert_ok(stream_message_at_ms(bus, 0, state.first_seq + 3, &stored_at_ms, err));
    assert_in_range(stored_at_ms, at_ms - 1000, at_ms + 10000);
    assert_fails(ERROR_INVALID, stream_message_at_ms(bus, 0, 7, &stored_at_ms, err));
}

TEST(a_stored_position_beyond_the_clock_wins_and_keeps_every_digit)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    const uint64_t position = (UINT64_C(1) << 53) + 2; /* position + 1 is no double */
    struct stream_state state;

    assert_ok(stream_ensure(bus, 0, limits, position, 1000, err));
    publish(bus, 0, 2);

    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.first_seq, position + 1);
    assert_int_equal(state.last_seq, position + 2);
}

/* nats-server up to 2.10.27 loses such a stream unless stream_ensure goes the long way round. */
TEST(a_stream_with_a_first_sequence_survives_a_kill_and_a_restart)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct stream_state before;
    struct stream_state after;

    for (int i = 0; i < 2; i++) { /* empty the first time */
        assert_ok(stream_ensure(bus, 0, limits, 12345, clock_at_ms(), err));
        publish(bus, 0, (uint64_t)i * 10);
        assert_ok(stream_get_state(bus, 0, &before, err));
        server_kill(nats);
        assert_true(wait_until_connected(bus, false));
        server_start(nats);
        assert_true(wait_until_connected(bus, true));
        assert_ok(stream_get_state(bus, 0, &after, err));
        assert_memory_equal(&before, &after, offsetof(struct stream_state, created_at_ms));
    }
}

TEST(a_stream_left_half_made_is_finished_by_the_next_process)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    static const char half[] = "{\"name\":\"ADS_0\",\"subjects\":[\"ads.unborn.0\"],"
                               "\"first_seq\":5000,\"num_replicas\":1}";
    struct stream_state state;
    jsStreamInfo *info = NULL;
    natsMsg *answer = NULL;

    assert_int_equal(natsConnection_RequestString(&answer, bus_connection(bus),
                                                  "$JS.API.STREAM.CREATE.ADS_0", half, 1000),
                     NATS_OK);
    natsMsg_Destroy(answer);
    assert_ok(stream_ensure(bus, 0, limits, 0, clock_at_ms(), err));
    publish(bus, 0, 1);

    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.first_seq, 5000);
    assert_int_equal(js_GetStreamInfo(&info, bus_jetstream(bus), "ADS_0", NULL, NULL), NATS_OK);
    assert_int_equal(info->Config->SubjectsLen, 1);
    assert_string_equal(info->Config->Subjects[0], "ads.events.0");
    jsStreamInfo_Destroy(info);
}

TEST(a_stream_that_is_there_is_left_alone_but_for_its_limits)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct stream_limits larger = {.max_bytes = 128 << 20, .dedup_window_ms = 60000, .replicas = 1};
    struct stream_state before;
    struct stream_state after;
    jsStreamInfo *info = NULL;

    assert_ok(stream_ensure(bus, 0, limits, 0, clock_at_ms(), err));
    publish(bus, 0, 3);
    assert_ok(stream_get_state(bus, 0, &before, err));
    assert_ok(stream_ensure(bus, 0, limits, 0, clock_at_ms(), err));
    assert_ok(stream_ensure(bus, 0, &larger, UINT64_C(1) << 60, clock_at_ms(), err));

    assert_ok(stream_get_state(bus, 0, &after, err));
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(js_GetStreamInfo(&info, bus_jetstream(bus), "ADS_0", NULL, NULL), NATS_OK);
    assert_int_equal(info->Config->MaxBytes, larger.max_bytes);
    assert_int_equal(info->Config->Duplicates, larger.dedup_window_ms * 1000000);
    assert_int_equal(info->Config->Discard, js_DiscardNew);
    assert_int_equal(info->Config->Storage, js_FileStorage);
    jsStreamInfo_Destroy(info);
}

TEST(trimming_never_touches_more_than_it_was_told)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct stream_state state;
    uint64_t first;

    assert_ok(stream_ensure(bus, 0, limits, 0, clock_at_ms(), err));
    assert_ok(stream_trim(bus, 0, UINT64_MAX, err)); /* an empty stream */
    publish(bus, 0, 10);
    assert_ok(stream_get_state(bus, 0, &state, err));
    first = state.first_seq;

    assert_ok(stream_trim(bus, 0, 0, err));
    assert_ok(stream_trim(bus, 0, 1, err));
    assert_ok(stream_trim(bus, 0, first, err));
    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.messages, 10);

    assert_ok(stream_trim(bus, 0, first + 4, err));
    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.first_seq, first + 4);
    assert_int_equal(state.messages, 6);

    assert_ok(stream_trim(bus, 0, first + 1000000, err));
    publish(bus, 0, 1);
    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.messages, 1);
    assert_int_equal(state.last_seq, first + 10);
}

TEST(a_stream_that_is_not_there_is_told_apart_from_a_broker_that_is_not)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct stream_state state;

    assert_fails(ERROR_INVALID, stream_get_state(bus, 0, &state, err));
    server_kill(nats);
    assert_fails(ERROR_UNAVAILABLE, stream_get_state(bus, 0, &state, err));
}

TEST(two_processes_that_make_the_same_stream_agree)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *one = bus_on(nats, err);
    AUTO(bus_close) struct bus *two = bus_on(nats, err);
    struct stream_state state;

    assert_ok(stream_ensure(one, 0, limits, 0, 5000, err));
    assert_ok(stream_ensure(two, 0, limits, 0, 6000, err));
    assert_ok(stream_get_state(two, 0, &state, err));
    assert_int_equal(state.first_seq, 5000 * 1000);
}

TEST(a_frozen_broker_never_holds_a_call_past_its_deadline)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    const struct bus_options options = {
        .endpoint = server_endpoint(nats), .name = "test", .connect_ms = 500, .request_ms = 500};
    struct stream_state state;
    int64_t start_ms;

    server_freeze(nats);
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, stream_get_state(bus, 0, &state, err));
    assert_in_range(clock_now_ms() - start_ms, 900, 1500);

    start_ms = clock_now_ms();
    assert_null(bus_open(&options, err));
    assert_int_equal(err->kind, ERROR_UNAVAILABLE);
    assert_in_range(clock_now_ms() - start_ms, 400, 1500);
    server_thaw(nats);
}

/* libnats holds its lock while it waits for a frozen broker's first line. */
TEST(whether_it_is_connected_is_known_without_a_wait)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    int64_t deadline_ms = clock_now_ms() + 20000;
    int64_t lost_ms = 0;

    server_freeze(server);
    while (clock_now_ms() < deadline_ms && (lost_ms == 0 || clock_now_ms() < lost_ms + 3000)) {
        int64_t start_ms = clock_now_ms();
        bool is_connected = bus_is_connected(bus);

        (void)bus_epoch(bus);
        assert_in_range(clock_now_ms() - start_ms, 0, 200);
        if (!is_connected && lost_ms == 0)
            lost_ms = clock_now_ms();
        clock_sleep_ms(5);
    }
    assert_int_not_equal(lost_ms, 0);
    server_thaw(server);
    assert_true(wait_until_connected(bus, true));
}

TEST(a_killed_broker_is_found_again_and_the_epoch_tells)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    uint64_t epoch = bus_epoch(bus);
    struct stream_state state;

    assert_ok(stream_ensure(bus, 0, limits, 0, 1000, err));
    server_kill(nats);
    assert_true(wait_until_connected(bus, false));
    server_start(nats);
    assert_true(wait_until_connected(bus, true));

    assert_int_not_equal(bus_epoch(bus), epoch);
    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(state.first_seq, 1000 * 1000);
}

TEST(a_connection_closed_for_good_is_made_anew)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    uint64_t epoch = bus_epoch(bus);
    int64_t deadline_ms = clock_now_ms() + 5000;
    struct stream_state state;

    natsConnection_Close(bus_connection(bus)); /* what libnats does after two refusals */

    /* It tells of that from a thread of its own, a moment later. */
    do {
        clock_sleep_ms(10);
        assert_false(stream_get_state(bus, 0, &state, err));
    } while (err->kind == ERROR_UNAVAILABLE && clock_now_ms() < deadline_ms);
    assert_int_equal(err->kind, ERROR_INVALID); /* an answer */
    assert_true(bus_is_connected(bus));
    assert_int_not_equal(bus_epoch(bus), epoch);
}

static bool is_refused_by_breaker(struct bus *bus)
{
    struct stream_state state;
    struct error err = {0};

    return !stream_get_state(bus, 0, &state, &err) && strstr(err.text, "breaker is open") != NULL;
}

TEST(requests_to_a_broker_that_is_gone_are_refused_at_once_until_it_is_back)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    int64_t deadline_ms = clock_now_ms() + 15000;
    struct stream_state state;
    int refused = 0;

    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, clock_at_ms(), err));
    server_kill(server);
    assert_true(wait_until_connected(bus, false));
    for (int i = 0; i < 10; i++)
        refused += is_refused_by_breaker(bus);
    assert_in_range(refused, 1, 7); /* three failures to connect open it */

    server_start(server);
    assert_true(wait_until_connected(bus, true));
    while (!stream_get_state(bus, 0, &state, err) && clock_now_ms() < deadline_ms)
        clock_sleep_ms(10);
    assert_ok(stream_get_state(bus, 0, &state, err));
}

static bool publish_one(struct bus *bus, const char *expected_stream, struct js_api_ack *out,
                        struct error *err)
{
    jsPubOptions options;

    jsPubOptions_Init(&options);
    options.ExpectStream = expected_stream;
    return js_api_publish(bus, "ads.events.0", "{}", &options, out, err);
}

TEST(a_message_asks_the_breaker_and_only_silence_speaks_against_the_broker)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    struct js_api_ack ack;

    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, clock_at_ms(), err));
    assert_ok(publish_one(bus, "ADS_0", &ack, err));
    assert_true(ack.seq > 0 && ack.code == 0);
    for (int i = 0; i < 10; i++) {
        assert_fails(ERROR_UNAVAILABLE, publish_one(bus, "ADS_1", &ack, err));
        assert_true(ack.seq == 0 && ack.code != 0);
    }
    assert_ok(publish_one(bus, "ADS_0", &ack, err)); /* it was there all the time */

    server_kill(server);
    assert_true(wait_until_connected(bus, false));
    for (int i = 0; i < 3; i++)
        assert_fails(ERROR_UNAVAILABLE, publish_one(bus, "ADS_0", &ack, err));
    assert_true(is_refused_by_breaker(bus));
    assert_fails(ERROR_UNAVAILABLE, publish_one(bus, "ADS_0", &ack, err));
    assert_non_null(strstr(err->text, "breaker is open"));
}

TEST(a_url_that_is_none_is_refused)
{
    const struct bus_options options = {
        .endpoint = endpoint_at(" , "), .name = "test", .connect_ms = 500, .request_ms = 500};

    assert_null(bus_open(&options, err));
    assert_int_equal(err->kind, ERROR_INVALID);
}

TESTS(RUN(a_new_stream_begins_at_the_clock_and_its_sequences_are_dense),
      RUN(a_stored_position_beyond_the_clock_wins_and_keeps_every_digit),
      RUN(a_stream_with_a_first_sequence_survives_a_kill_and_a_restart),
      RUN(a_stream_left_half_made_is_finished_by_the_next_process),
      RUN(a_stream_that_is_there_is_left_alone_but_for_its_limits),
      RUN(trimming_never_touches_more_than_it_was_told),
      RUN(a_stream_that_is_not_there_is_told_apart_from_a_broker_that_is_not),
      RUN(two_processes_that_make_the_same_stream_agree),
      RUN(a_frozen_broker_never_holds_a_call_past_its_deadline),
      RUN(whether_it_is_connected_is_known_without_a_wait),
      RUN(a_killed_broker_is_found_again_and_the_epoch_tells),
      RUN(a_connection_closed_for_good_is_made_anew),
      RUN(requests_to_a_broker_that_is_gone_are_refused_at_once_until_it_is_back),
      RUN(a_message_asks_the_breaker_and_only_silence_speaks_against_the_broker),
      RUN(a_url_that_is_none_is_refused))
