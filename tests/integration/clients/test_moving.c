/* Clients whose endpoint gets another text while they are at work. */
#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "runtime/clock.h"

enum { CONNECT_MS = 1000, CALL_MS = 1000, AT_ONCE_MS = 300, MOVE_MS = 15000, URLS_SIZE = 256 };

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

static void check_port(struct pg *pg, const struct server *server)
{
    char port[8];

    snprintf(port, sizeof(port), "%d", server_port(server));
    check_says(pg, "SELECT current_setting('port')", port);
}

TEST(of_several_hosts_of_postgres_the_one_that_takes_writes_is_found_in_time)
{
    AUTO(server_close) struct server *first = server_open_postgres();
    AUTO(server_close) struct server *second = server_open_postgres();
    char url[256];
    struct pg_options options = {
        .application = "test", .connect_ms = CONNECT_MS, .query_ms = CALL_MS};
    AUTO(pg_close) struct pg *pg = NULL;
    int64_t began_ms;

    snprintf(url, sizeof(url), "postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres",
             server_port(first), server_port(second));
    options.endpoint = endpoint_at(url);
    pg = pg_new(&options);
    check_port(pg, first);

    server_freeze(first); /* its kernel takes connections; half the time is left for the second */
    pg_disconnect(pg);
    began_ms = clock_now_ms();
    check_port(pg, second);
    assert_in_range(clock_now_ms() - began_ms, CONNECT_MS / 2 - 10, CONNECT_MS);
    began_ms = clock_now_ms();
    pg_disconnect(pg);
    check_port(pg, second); /* it is asked first from now on */
    assert_true(clock_now_ms() - began_ms < CONNECT_MS / 2);
    server_thaw(first);

    assert_ok(pg_script(pg, "ALTER DATABASE postgres SET default_transaction_read_only = on", err));
    pg_disconnect(pg);
    check_port(pg, first);
    server_kill(first);
    assert_fails(ERROR_UNAVAILABLE, pg_script(pg, "SELECT 1", err));
    assert_fails(ERROR_UNAVAILABLE, pg_script(pg, "SELECT 1", err)); /* nobody takes writes */
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

static bool wait_until_moved(struct bus *bus, uint64_t epoch)
{
    int64_t deadline_ms = clock_now_ms() + MOVE_MS;

    do {
        (void)bus_connection(bus);
        clock_sleep_ms(10);
    } while (bus_epoch(bus) == epoch && clock_now_ms() < deadline_ms);
    return bus_epoch(bus) != epoch && bus_is_connected(bus);
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
    assert_true(wait_until_moved(bus, epoch));
    assert_fails(ERROR_INVALID, stream_get_state(bus, 0, &state, err)); /* the other one has none */

    endpoint_move(endpoint, "nats://127.0.0.1:1");
    server_kill(second);
    assert_true(wait_until_connected(bus, false));
    endpoint_move(endpoint, server_url(first));
    assert_ok(stream_get_state(bus, 0, &state, err)); /* at once, with its stream */
}

/* A list of servers that take a connection and say nothing: each costs the whole connect_ms. */
static void list_thrice(const struct server *server, char urls[URLS_SIZE])
{
    snprintf(urls, URLS_SIZE, "%s,%s,%s", server_url(server), server_url(server),
             server_url(server));
}

TEST(nats_that_works_makes_nobody_wait_for_one_that_is_silent)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();
    struct endpoint *endpoint = server_endpoint(first);
    const struct bus_options options = {
        .endpoint = endpoint, .name = "test", .connect_ms = CONNECT_MS, .request_ms = CALL_MS};
    AUTO(bus_close) struct bus *bus = bus_open(&options, err);
    int64_t until_ms = clock_now_ms() + 2 * (int64_t)CONNECT_MS;
    char urls[URLS_SIZE];
    uint64_t epoch;

    assert_non_null(bus);
    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, 1000, err));
    epoch = bus_epoch(bus);
    server_freeze(second);
    list_thrice(second, urls);
    endpoint_move(endpoint, urls);
    while (clock_now_ms() < until_ms) {
        int64_t began_ms = clock_now_ms();
        struct stream_state state;

        assert_ok(stream_get_state(bus, 0, &state, err));
        assert_in_range(clock_now_ms() - began_ms, 0, AT_ONCE_MS);
    }
    assert_int_equal(bus_epoch(bus), epoch);
    server_thaw(second);
    assert_true(wait_until_moved(bus, epoch));
}

TEST(without_nats_who_tries_a_list_waits_as_long_as_for_one_server)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();
    struct endpoint *endpoint = server_endpoint(first);
    const struct bus_options options = {
        .endpoint = endpoint, .name = "test", .connect_ms = CONNECT_MS, .request_ms = CALL_MS};
    AUTO(bus_close) struct bus *bus = bus_open(&options, err);
    char urls[URLS_SIZE];
    int64_t began_ms;

    assert_non_null(bus);
    server_kill(first);
    assert_true(wait_until_connected(bus, false));
    server_freeze(second);
    list_thrice(second, urls);
    endpoint_move(endpoint, urls);
    began_ms = clock_now_ms();
    (void)bus_connection(bus);
    assert_in_range(clock_now_ms() - began_ms, CONNECT_MS - 10, CONNECT_MS + AT_ONCE_MS);
    began_ms = clock_now_ms();
    (void)bus_connection(bus); /* it is under way, and not this caller's */
    assert_in_range(clock_now_ms() - began_ms, 0, AT_ONCE_MS);
    server_thaw(second);
    assert_true(wait_until_connected(bus, true));
}

TESTS(RUN(postgres_is_left_from_the_end_of_the_transaction_on),
      RUN(of_several_hosts_of_postgres_the_one_that_takes_writes_is_found_in_time),
      RUN(redis_is_left_with_the_next_command),
      RUN(nats_is_left_once_the_new_one_takes_the_connection),
      RUN(nats_that_works_makes_nobody_wait_for_one_that_is_silent),
      RUN(without_nats_who_tries_a_list_waits_as_long_as_for_one_server))
