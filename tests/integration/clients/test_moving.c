/* Clients whose endpoint gets another text while they are at work. */
#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/pg.h"
#include "clients/redis.h"

enum { CONNECT_MS = 1000, CALL_MS = 1000 };

static void check_says(struct pg *pg, const char *sql, const char *value)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    struct error err = {0};

    if (!pg_query(pg, NULL, sql, NULL, 0, &result, &err))
        fail_msg("%s: %s", sql, err.text);
    assert_string_equal(PQgetvalue(result, 0, 0), value);
}

TEST(postgres_is_left_from_the_end_of_the_transaction_on)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    struct endpoint *endpoint = server_endpoint(server);
    const struct pg_options options = {.endpoint = endpoint,
                                       .application = "test",
                                       .session_sql = "SET lock_timeout = '7s'",
                                       .connect_ms = CONNECT_MS,
                                       .query_ms = CALL_MS};
    AUTO(pg_close) struct pg *pg = pg_new(&options);
    char url[256];

    snprintf(url, sizeof(url), "postgres://postgres@127.0.0.1:%d/template1", server_port(server));
    assert_ok(pg_begin(pg, "", err));
    assert_ok(pg_query(pg, "one", "SELECT 1", NULL, 0, NULL, err));
    endpoint_move(endpoint, url);
    check_says(pg, "SELECT current_database()", "postgres");
    assert_ok(pg_commit(pg, err));
    assert_false(pg_is_connected(pg));

    check_says(pg, "SELECT current_database()", "template1");
    check_says(pg, "SHOW lock_timeout", "7s");
    assert_ok(pg_query(pg, "one", "SELECT 1", NULL, 0, NULL, err)); /* prepared there, too */
    assert_true(pg_is_connected(pg));
}

TEST(redis_is_left_with_the_next_command)
{
    AUTO(server_close) struct server *first = server_open_redis();
    AUTO(server_close) struct server *second = server_open_redis();
    struct endpoint *endpoint = server_endpoint(first);
    const struct redis_options options = {
        .endpoint = endpoint, .connect_ms = CONNECT_MS, .command_ms = CALL_MS};
    AUTO(redis_close) struct redis *redis = redis_new(&options, err);
    AUTO(redis_reply_free) redisReply *reply = NULL;

    assert_non_null(redis);
    assert_ok(redis_text(redis, NULL, err, "SET key first"));
    endpoint_move(endpoint, server_url(second));
    assert_false(redis_is_connected(redis));
    assert_ok(redis_text(redis, &reply, err, "GET key"));
    assert_int_equal(reply->type, REDIS_REPLY_NIL);
    assert_true(redis_is_connected(redis));
}

TEST(nats_is_left_once_the_new_one_takes_the_connection)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();
    struct endpoint *endpoint = server_endpoint(first);
    const struct bus_options options = {
        .endpoint = endpoint, .name = "test", .connect_ms = 500, .request_ms = 500};
    AUTO(bus_close) struct bus *bus = bus_open(&options, err);
    uint64_t epoch;
    struct stream_state state;

    assert_non_null(bus);
    epoch = bus_epoch(bus);
    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, 1000, err));
    endpoint_move(endpoint, "nats://127.0.0.1:1");
    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_int_equal(bus_epoch(bus), epoch);

    endpoint_move(endpoint, server_url(second));
    assert_fails(ERROR_INVALID, stream_get_state(bus, 0, &state, err)); /* the other one has none */
    assert_true(bus_is_connected(bus));
    assert_int_not_equal(bus_epoch(bus), epoch);

    endpoint_move(endpoint, "nats://127.0.0.1:1");
    server_kill(second);
    assert_true(wait_until_connected(bus, false));
    endpoint_move(endpoint, server_url(first));
    assert_ok(stream_get_state(bus, 0, &state, err)); /* at once, with its stream */
}

TESTS(RUN(postgres_is_left_from_the_end_of_the_transaction_on),
      RUN(redis_is_left_with_the_next_command),
      RUN(nats_is_left_once_the_new_one_takes_the_connection))
