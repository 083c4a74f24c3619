#include "base/auto.h"
#include "check.h"
#include "clients/guard.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "runtime/clock.h"
#include "servers.h"

#include <string.h>

enum { CONNECT_MS = 500, CALL_MS = 500, RECOVER_MS = 20000, AT_ONCE_MS = 100 };

static void init_guard(struct guard *guard, enum guard_dependency dependency)
{
    struct guard_options options = {
        .dependency = dependency, .what = "test", .breaker = breaker_default_options()};

    guard_init(guard, &options, 1, clock_now_ms());
}

static struct redis *redis_behind(const struct server *server, struct guard *guard,
                                  struct error *err)
{
    struct redis *redis = redis_new(&(struct redis_options){.endpoint = server_endpoint(server),
                                                            .connect_ms = CONNECT_MS,
                                                            .command_ms = CALL_MS,
                                                            .guard = guard},
                                    err);

    assert_non_null(redis);
    return redis;
}

static struct pg *pg_behind(const struct server *server, struct guard *guard)
{
    struct pg *pg = pg_new(&(struct pg_options){.endpoint = server_endpoint(server),
                                                .application = "test",
                                                .connect_ms = CONNECT_MS,
                                                .query_ms = CALL_MS,
                                                .guard = guard});

    assert_non_null(pg);
    return pg;
}

static void fail_until_open(struct redis *redis, struct guard *guard)
{
    struct error refusal;
    int64_t deadline_ms = clock_now_ms() + RECOVER_MS;

    while (!guard_is_open(guard) && clock_now_ms() < deadline_ms)
        assert_false(redis_text(redis, NULL, &refusal, "PING"));
    assert_true(guard_is_open(guard));
}

static void succeed_until_closed(struct redis *redis, struct guard *guard)
{
    struct error refusal;
    int64_t deadline_ms = clock_now_ms() + RECOVER_MS;

    while (guard->breaker.state != BREAKER_CLOSED && clock_now_ms() < deadline_ms)
        if (!redis_text(redis, NULL, &refusal, "PING"))
            clock_sleep_ms(10);
    assert_int_equal(guard->breaker.state, BREAKER_CLOSED);
}

TEST(a_redis_that_froze_is_refused_at_once_and_found_again)
{
    AUTO(server_close) struct server *server = server_open_redis();
    struct guard guard;
    init_guard(&guard, GUARD_REDIS);
    AUTO(redis_close) struct redis *redis = redis_behind(server, &guard, err);
    int64_t began_ms;

    assert_ok(redis_text(redis, NULL, err, "PING"));
    server_freeze(server);
    fail_until_open(redis, &guard);
    began_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, redis_text(redis, NULL, err, "PING"));
    assert_in_range(clock_now_ms() - began_ms, 0, AT_ONCE_MS);
    server_thaw(server);
    succeed_until_closed(redis, &guard);
    guard_end(&guard);
}

TEST(a_redis_that_is_back_ends_its_cooldown)
{
    AUTO(server_close) struct server *server = server_open_redis();
    struct guard guard;
    init_guard(&guard, GUARD_REDIS);
    AUTO(redis_close) struct redis *redis = redis_behind(server, &guard, err);

    server_kill(server);
    for (int i = 0; i < 6; i++) { /* the cooldown has grown: 4 to 8 s are left */
        guard.breaker.entered_ms -= guard.breaker.cooldown_ms;
        (void)guard_step(&guard, clock_now_ms());
        fail_until_open(redis, &guard);
    }
    guard.breaker.cooldown_ms = 60000;
    server_start(server);
    succeed_until_closed(redis, &guard);
    guard_end(&guard);
}

TEST(a_script_that_redis_has_forgotten_is_no_failure_of_it)
{
    AUTO(server_close) struct server *server = server_open_redis();
    struct guard guard;
    init_guard(&guard, GUARD_REDIS);
    AUTO(redis_close) struct redis *redis = redis_behind(server, &guard, err);
    struct redis_script script = {.text = "return 1"};

    for (int i = 0; i < 20; i++) {
        assert_ok(redis_eval(redis, &script, 0, 0, NULL, NULL, NULL, err));
        assert_ok(redis_text(redis, NULL, err, "SCRIPT FLUSH"));
    }
    assert_int_equal(guard.breaker.state, BREAKER_CLOSED);
    guard_end(&guard);
}

TEST(a_redis_that_answers_what_a_broken_deployment_would_is_left_alone)
{
    AUTO(server_close) struct server *server = server_open_redis();
    struct guard guard;
    init_guard(&guard, GUARD_REDIS);
    AUTO(redis_close) struct redis *redis = redis_behind(server, &guard, err);

    assert_fails(ERROR_INTERNAL, redis_text(redis, NULL, err, "NOSUCHCOMMAND"));
    for (int i = 0; i < 100 && !guard_is_open(&guard); i++)
        assert_false(redis_text(redis, NULL, err, "NOSUCHCOMMAND"));
    assert_true(guard_is_open(&guard));
    guard_end(&guard);
}

static bool stop(void *ctx)
{
    int64_t *asked = ctx;

    return ++*asked < 3;
}

TEST(a_wait_for_postgres_ends_when_its_owner_says_so)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    int64_t asked = 0;
    AUTO(pg_close)
    struct pg *pg = pg_new(&(struct pg_options){.endpoint = server_endpoint(server),
                                                .application = "test",
                                                .connect_ms = 5000,
                                                .query_ms = 600000,
                                                .on_wait = stop,
                                                .ctx = &asked});
    int64_t began_ms;

    assert_ok(pg_connect(pg, err));
    asked = 0;
    began_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, NULL, "SELECT pg_sleep(60)", NULL, 0, NULL, err));
    assert_in_range(clock_now_ms() - began_ms, 400, 3000);
    assert_non_null(strstr(err->text, "given up"));
    asked = 0;
    assert_ok(pg_query(pg, NULL, "SELECT 1", NULL, 0, NULL, err)); /* on a new connection */
}

TEST(a_postgres_whose_deployment_is_broken_is_refused_at_once)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    struct guard guard;
    init_guard(&guard, GUARD_POSTGRES);
    AUTO(pg_close) struct pg *pg = pg_behind(server, &guard);

    for (int i = 0; i < 100; i++)
        assert_ok(pg_query(pg, NULL, "SELECT 1", NULL, 0, NULL, err));
    assert_ok(pg_begin(pg, "", err));
    assert_fails(ERROR_INTERNAL, pg_query(pg, NULL, "TABLE nothing", NULL, 0, NULL, err));
    pg_rollback(pg);
    assert_true(guard_is_open(&guard));
    assert_int_equal(pg_judge(pg, false, err), BREAKER_CONFIGURATION);
    guard_end(&guard);
}

TEST(a_postgres_that_is_killed_is_refused_at_once_and_found_again)
{
    AUTO(server_close) struct server *server = server_open_postgres();
    struct guard guard;
    init_guard(&guard, GUARD_POSTGRES);
    AUTO(pg_close) struct pg *pg = pg_behind(server, &guard);
    struct error refusal;
    int64_t began_ms;

    server_kill(server);
    while (!guard_is_open(&guard))
        assert_false(pg_query(pg, NULL, "SELECT 1", NULL, 0, NULL, &refusal));
    began_ms = clock_now_ms();
    assert_fails(ERROR_UNAVAILABLE, pg_query(pg, NULL, "SELECT 1", NULL, 0, NULL, err));
    assert_in_range(clock_now_ms() - began_ms, 0, AT_ONCE_MS);
    server_start(server);
    while (guard.breaker.state != BREAKER_CLOSED && clock_now_ms() - began_ms < RECOVER_MS)
        if (!pg_query(pg, NULL, "SELECT 1", NULL, 0, NULL, &refusal))
            clock_sleep_ms(10);
    assert_int_equal(guard.breaker.state, BREAKER_CLOSED);
    guard_end(&guard);
}

TESTS(RUN(a_redis_that_froze_is_refused_at_once_and_found_again),
      RUN(a_redis_that_is_back_ends_its_cooldown),
      RUN(a_script_that_redis_has_forgotten_is_no_failure_of_it),
      RUN(a_redis_that_answers_what_a_broken_deployment_would_is_left_alone),
      RUN(a_wait_for_postgres_ends_when_its_owner_says_so),
      RUN(a_postgres_whose_deployment_is_broken_is_refused_at_once),
      RUN(a_postgres_that_is_killed_is_refused_at_once_and_found_again))
