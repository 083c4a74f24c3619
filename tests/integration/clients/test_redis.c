#include "base/auto.h"
#include "check.h"
#include "clients/redis.h"
#include "runtime/clock.h"
#include "servers.h"

#include <stdio.h>
#include <string.h>

enum { CONNECT_MS = 500, COMMAND_MS = 500 };

static struct redis *redis_at(const char *url, struct error *err)
{
    const struct redis_options options = {
        .endpoint = endpoint_at(url), .connect_ms = CONNECT_MS, .command_ms = COMMAND_MS};
    struct redis *redis = redis_new(&options, err);

    if (redis == NULL)
        fail_msg("%s", err->text);
    return redis;
}

static struct redis *redis_on(const struct server *server, struct error *err)
{
    return redis_at(server_url(server), err);
}

TEST(commands_carry_any_bytes_and_connect_by_themselves)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    const char *argv[] = {"SET", "key", "a\0b c"};
    const size_t sizes[] = {3, 3, 5};

    assert_false(redis_is_connected(redis));
    assert_ok(redis_command(redis, 3, argv, sizes, NULL, err));
    assert_ok(redis_text(redis, &reply, err, "GET %s", "key"));
    assert_int_equal(reply->len, 5);
    assert_memory_equal(reply->str, "a\0b c", 5);
    assert_true(redis_is_connected(redis));
}

TEST(error_replies_are_told_apart)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);

    assert_fails(ERROR_INTERNAL, redis_text(redis, NULL, err, "NOSUCHCOMMAND"));
    assert_ok(redis_text(redis, NULL, err, "CONFIG SET maxmemory 1"));
    assert_fails(ERROR_UNAVAILABLE, redis_text(redis, NULL, err, "SET a 1"));
    assert_non_null(strstr(err->text, "OOM"));
    assert_true(redis_is_connected(redis)); /* an answer is no loss */
}

TEST(logs_in_and_selects_on_every_connection)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *admin = redis_on(server, err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    char url[128];

    assert_ok(redis_text(admin, NULL, err, "ACL SETUSER ann on >p@ss:/ ~* +@all"));
    snprintf(url, sizeof(url), "redis://ann:p%%40ss%%3A%%2F@127.0.0.1:%d/3", server_port(server));
    AUTO(redis_close) struct redis *redis = redis_at(url, err);
    assert_ok(redis_text(redis, NULL, err, "SET where three"));
    assert_ok(redis_text(admin, NULL, err, "CLIENT KILL USER ann"));
    assert_fails(ERROR_UNCERTAIN, redis_text(redis, NULL, err, "GET where"));
    assert_ok(redis_text(redis, &reply, err, "GET where"));
    assert_string_equal(reply->str, "three");

    snprintf(url, sizeof(url), "redis://ann:wrong@127.0.0.1:%d", server_port(server));
    AUTO(redis_close) struct redis *refused = redis_at(url, err);
    assert_fails(ERROR_INTERNAL, redis_text(refused, NULL, err, "PING"));
}

TEST(a_frozen_server_never_holds_a_call_past_its_deadline)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);
    AUTO(redis_close) struct redis *late = redis_on(server, err);
    int64_t start_ms;

    assert_ok(redis_text(redis, NULL, err, "PING"));
    server_freeze(server);
    start_ms = clock_now_ms();
    assert_fails(ERROR_UNCERTAIN, redis_text(redis, NULL, err, "INCR n"));
    assert_in_range(clock_now_ms() - start_ms, COMMAND_MS - 10, COMMAND_MS + 300);
    assert_false(redis_is_connected(redis));
    start_ms = clock_now_ms(); /* the kernel still takes the connection, nobody serves it */
    assert_false(redis_text(late, NULL, err, "PING"));
    assert_in_range(clock_now_ms() - start_ms, 0, CONNECT_MS + COMMAND_MS + 300);
    server_thaw(server);
    assert_ok(redis_text(redis, NULL, err, "PING"));
}

TEST(a_killed_server_is_found_again)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);

    assert_ok(redis_text(redis, NULL, err, "PING"));
    server_kill(server);
    assert_fails(ERROR_UNCERTAIN, redis_text(redis, NULL, err, "PING"));
    assert_fails(ERROR_UNAVAILABLE, redis_text(redis, NULL, err, "PING"));
    server_start(server);
    assert_ok(redis_text(redis, NULL, err, "PING"));
}

TEST(a_script_survives_the_flush_of_the_cache)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);
    struct redis_script script = {
        .text = "redis.call('INCRBY', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])"};
    const char *argv[] = {"n", "5"};

    for (int i = 1; i <= 3; i++) {
        AUTO(redis_reply_free) redisReply *reply = NULL;
        char expected[12];

        snprintf(expected, sizeof(expected), "%d", 5 * i);
        assert_ok(redis_eval(redis, &script, 1, 2, argv, NULL, &reply, err));
        assert_string_equal(reply->str, expected);
        if (i == 2)
            assert_ok(redis_text(redis, NULL, err, "SCRIPT FLUSH"));
    }
    assert_int_equal(strlen(script.sha), 40);
}

TEST(a_script_that_fails_is_a_failure)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);
    struct redis_script script = {.text = "return redis.error_reply('no good')"};

    assert_fails(ERROR_INTERNAL, redis_eval(redis, &script, 0, 0, NULL, NULL, NULL, err));
}

TEST(a_large_command_passes_in_pieces)
{
    AUTO(server_close) struct server *server = server_open_redis();
    AUTO(redis_close) struct redis *redis = redis_on(server, err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    enum { SIZE = 16 << 20 };
    AUTO(auto_free) char *bytes = calloc(1, SIZE);
    const char *argv[] = {"SET", "big", bytes};
    const size_t sizes[] = {3, 3, SIZE};

    assert_ok(redis_command(redis, 3, argv, sizes, NULL, err));
    assert_ok(redis_text(redis, &reply, err, "STRLEN big"));
    assert_int_equal(reply->integer, SIZE);
}

TESTS(RUN(commands_carry_any_bytes_and_connect_by_themselves), RUN(error_replies_are_told_apart),
      RUN(logs_in_and_selects_on_every_connection),
      RUN(a_frozen_server_never_holds_a_call_past_its_deadline),
      RUN(a_killed_server_is_found_again), RUN(a_script_survives_the_flush_of_the_cache),
      RUN(a_script_that_fails_is_a_failure), RUN(a_large_command_passes_in_pieces))
