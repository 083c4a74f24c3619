#include "base/text.h"
#include "bus_fixture.h"
#include "clients/js_api.h"
#include "database.h"
#include "dlq_letters.h"

static bool go_on(void *ctx)
{
    (void)ctx;
    return true;
}

static struct dlq_round new_round(void)
{
    return (struct dlq_round){.max_bytes = 16 << 20, .replicas = 1, .is_running = go_on};
}

static void insert_letters(struct pg *pg, int count, int payload_bytes, struct error *err)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "INSERT INTO dead_letters (partition, seq, index, code, detail, payload, received_at)"
             " SELECT 3, nextval('letters'), -1, 'undecodable', 'a \"quoted\" why',"
             " decode(repeat('ab', %d), 'hex'), now() FROM generate_series(1, %d)",
             payload_bytes, count);
    assert_ok(pg_script(pg, "CREATE SEQUENCE IF NOT EXISTS letters", err));
    assert_ok(pg_script(pg, sql, err));
}

static uint64_t messages_told(struct bus *bus, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer info = {0};

    assert_ok(js_api_request(bus, "STREAM.INFO." DLQ_STREAM, "", 1000, &info, err));
    return js_api_number(json_object_get(info.json, "state"), "messages");
}

static json_t *message_told(struct bus *bus, uint64_t seq)
{
    AUTO(js_api_free) struct js_api_answer ignored = {0};
    natsMsg *message = NULL;
    jsErrCode code = 0;
    json_t *letter = NULL;

    assert_int_equal(js_GetMsg(&message, bus_jetstream(bus), DLQ_STREAM, seq, NULL, &code),
                     NATS_OK);
    assert_string_equal(natsMsg_GetSubject(message), DLQ_SUBJECT "3");
    letter = json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    natsMsg_Destroy(message);
    assert_non_null(letter);
    return letter;
}

TEST(every_letter_is_told_once_with_all_that_is_known_of_it)
{
    AUTO(server_close) struct server *postgres = server_open_postgres();
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(pg_close) struct pg *pg = pg_with_schema(postgres, err);
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct dlq_round round = new_round();
    json_t *letter = NULL;

    insert_letters(pg, DLQ_PAGE * 2 + 1, 60, err);
    assert_ok(dlq_letters_tell(&round, pg, bus, err));

    assert_int_equal(round.told, DLQ_PAGE * 2 + 1);
    assert_int_equal(round.unpublished, 0);
    assert_int_equal(messages_told(bus, err), DLQ_PAGE * 2 + 1);
    assert_int_equal(
        ask_number(pg, "SELECT count(*) FROM dead_letters WHERE published_at IS NULL", err), 0);
    letter = message_told(bus, 1);
    assert_int_equal(json_integer_value(json_object_get(letter, "id")), 1);
    assert_int_equal(json_integer_value(json_object_get(letter, "partition")), 3);
    assert_int_equal(json_integer_value(json_object_get(letter, "index")), -1);
    assert_string_equal(json_string_value(json_object_get(letter, "code")), "undecodable");
    assert_string_equal(json_string_value(json_object_get(letter, "detail")), "a \"quoted\" why");
    assert_true(json_is_null(json_object_get(letter, "event_id")));
    assert_int_equal(json_string_length(json_object_get(letter, "payload")), 80);
    assert_int_equal(json_string_length(json_object_get(letter, "dead_at")), 24);
    json_decref(letter);

    /* The mark was lost: the stream knows the letter again. */
    assert_ok(pg_script(pg, "UPDATE dead_letters SET published_at = NULL WHERE id = 1", err));
    assert_ok(dlq_letters_tell(&round, pg, bus, err));
    assert_int_equal(round.told, 1);
    assert_int_equal(messages_told(bus, err), DLQ_PAGE * 2 + 1);
}

TEST(a_letter_larger_than_a_message_is_told_without_its_payload)
{
    AUTO(server_close) struct server *postgres = server_open_postgres();
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(pg_close) struct pg *pg = pg_with_schema(postgres, err);
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct dlq_round round = new_round();
    json_t *letter = NULL;

    insert_letters(pg, 1, (int)natsConnection_GetMaxPayload(bus_connection(bus)), err);
    assert_ok(dlq_letters_tell(&round, pg, bus, err));

    assert_int_equal(round.told, 1);
    assert_int_equal(round.cut, 1);
    letter = message_told(bus, 1);
    assert_true(json_is_null(json_object_get(letter, "payload")));
    assert_true(json_integer_value(json_object_get(letter, "payload_base64_size")) > 1 << 20);
    json_decref(letter);
}

TEST(a_frozen_broker_only_delays_it)
{
    AUTO(server_close) struct server *postgres = server_open_postgres();
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(pg_close) struct pg *pg = pg_with_schema(postgres, err);
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct dlq_round round = new_round();
    int64_t began_ms = clock_now_ms();
    bool is_done = false;

    insert_letters(pg, 3, 60, err);
    server_freeze(nats);
    assert_fails(ERROR_UNAVAILABLE, dlq_letters_tell(&round, pg, bus, err));
    assert_true(clock_now_ms() - began_ms < 5000);
    assert_int_equal(round.unpublished, 3);
    server_thaw(nats);

    while (!is_done && clock_now_ms() - began_ms < 20000)
        is_done = dlq_letters_tell(&round, pg, bus, err);
    assert_true(is_done);
    assert_int_equal(messages_told(bus, err), 3);
}

TESTS(RUN(every_letter_is_told_once_with_all_that_is_known_of_it),
      RUN(a_letter_larger_than_a_message_is_told_without_its_payload),
      RUN(a_frozen_broker_only_delays_it))
