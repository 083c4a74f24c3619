#include "base/auto.h"
#include "check.h"
#include "clients/endpoints.h"

#include <string.h>

/* cmocka's strings are const, the settings' are not. */
#define TEXT(text_) ((char[]){text_})

/* What the option tables give when nothing is set. */
static struct endpoints defaults(void)
{
    static char any[] = "127.0.0.1";
    static char name[] = "adledger";

    return (struct endpoints){.postgres_host = any,
                              .postgres_user = name,
                              .postgres_db = name,
                              .postgres_port = 5432,
                              .redis_host = any,
                              .redis_port = 6379};
}

TEST(the_defaults_are_loopback)
{
    struct endpoints endpoints = defaults();

    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.postgres, "postgres://adledger@127.0.0.1:5432/adledger");
    assert_string_equal(endpoints.redis, "redis://127.0.0.1:6379/0");
    assert_int_equal(endpoints.note_count, 0);
}

TEST(the_newest_name_wins)
{
    struct endpoints endpoints = defaults();

    endpoints.db_dsn = TEXT("host=two user=u dbname=d");
    endpoints.redis_addr = TEXT("two:1");
    endpoints.redis_password = TEXT("p");
    endpoints.redis_db = 4;
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.postgres, "host=two user=u dbname=d ");
    assert_string_equal(endpoints.redis, "redis://:p@two:1/4");

    endpoints.database_url = TEXT("postgres://u:p@one/d?sslmode=disable");
    endpoints.redis_url = TEXT("redis://one:2/3");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.postgres, "postgres://u:p@one/d?sslmode=disable");
    assert_string_equal(endpoints.redis, "redis://one:2/3");
}

TEST(passwords_are_encoded_into_the_address)
{
    struct endpoints endpoints = defaults();

    endpoints.postgres_password = TEXT("p@ss:/?#%");
    endpoints.postgres_host = TEXT("/run/postgresql");
    endpoints.redis_password = TEXT("a@b/c");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(
        endpoints.postgres,
        "postgres://adledger:p%40ss%3A%2F%3F%23%25@%2Frun%2Fpostgresql:5432/adledger");
    assert_string_equal(endpoints.redis, "redis://:a%40b%2Fc@127.0.0.1:6379/0");
}

TEST(a_dsn_of_another_driver_loses_the_keys_that_libpq_does_not_know)
{
    struct endpoints endpoints = defaults();

    endpoints.db_dsn = TEXT("host=db user=u password='it\\'s x' dbname=d port=5432 "
                            "sslmode=disable  TimeZone=Asia/Kolkata");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_null(strstr(endpoints.postgres, "TimeZone"));
    assert_non_null(strstr(endpoints.postgres, "sslmode=disable"));
    assert_int_equal(endpoints.note_count, 1);
    assert_string_equal(endpoints.notes[0],
                        "DB_DSN: TimeZone is not a setting of PostgreSQL's client and is left out");

    endpoints.database_url = TEXT("postgresql://u@h/d?TimeZone=UTC&sslmode=disable&pool_size=5");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.postgres, "postgresql://u@h/d?sslmode=disable");
    assert_int_equal(endpoints.note_count, 2);
}

TEST(blanks_around_the_sign_of_a_dsn_are_kept_working)
{
    struct endpoints endpoints = defaults();

    endpoints.db_dsn = TEXT("  host = db   user='u v' x = 'y z' dbname=d ");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.postgres, "host = db user='u v' dbname=d ");
}

TEST(what_cannot_be_an_address_is_refused_without_its_password)
{
    static char texts[][48] = {
        "secret",
        "mysql://u:secret@h/d?x=y",
        "host=db password='secret",
        "host=db TimeZone='UTC password=secret",
        "host=db password=a secret",
        "host=db password=a secret user=u",
        "host=db user=u postgres://u:secret@h",
        "postgres://u:secret@[::1/d",
        "postgres://u:pass?secret=x@h/d",
        "u:secret@tcp(h:3306)/d?parseTime=true",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct endpoints endpoints = defaults();

        endpoints.database_url = texts[i];
        if (endpoints_resolve(&endpoints, err))
            fail_msg("taken: %s -> %s", texts[i], endpoints.postgres);
        assert_int_equal(err->kind, ERROR_INVALID);
        assert_null(strstr(err->text, "secret"));
        assert_non_null(strstr(err->text, "DATABASE_URL"));
        for (size_t j = 0; j < endpoints.note_count; j++)
            assert_null(strstr(endpoints.notes[j], "secret"));
    }
}

TEST(a_bad_redis_address_names_its_variable)
{
    struct endpoints endpoints = defaults();

    endpoints.redis_addr = TEXT("host:port");
    assert_fails(ERROR_INVALID, endpoints_resolve(&endpoints, err));
    assert_non_null(strstr(err->text, "REDIS_ADDR"));
    endpoints.redis_url = TEXT("http://host");
    assert_fails(ERROR_INVALID, endpoints_resolve(&endpoints, err));
    assert_non_null(strstr(err->text, "REDIS_URL"));

    endpoints = defaults();
    endpoints.redis_password = TEXT("secret");
    endpoints.redis_addr = TEXT("user@host:1");
    assert_fails(ERROR_INVALID, endpoints_resolve(&endpoints, err));
    assert_non_null(strstr(err->text, "REDIS_ADDR"));
    assert_null(strstr(err->text, "secret"));
}

TEST(an_ipv6_host_gets_its_brackets_and_a_url_in_the_wrong_variable_works)
{
    struct endpoints endpoints = defaults();

    endpoints.redis_host = TEXT("::1");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.redis, "redis://[::1]:6379/0");
    endpoints.redis_addr = TEXT("redis://:p@h:1/2");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.redis, "redis://:p@h:1/2");
}

TEST(an_address_may_name_several_servers)
{
    struct endpoints endpoints = defaults();

    endpoints.database_url = TEXT("postgres://u:p@a:1,b:2/d?target_session_attrs=read-write");
    endpoints.redis_password = TEXT("p,q");
    endpoints.redis_addr = TEXT("a:1,b:2,c:3");
    assert_ok(endpoints_resolve(&endpoints, err));
    assert_string_equal(endpoints.postgres,
                        "postgres://u:p@a:1,b:2/d?target_session_attrs=read-write");
    assert_string_equal(endpoints.redis, "redis://:p%2Cq@a:1,b:2,c:3/0");
    endpoints.redis_addr = TEXT("a:1,b:2,");
    assert_fails(ERROR_INVALID, endpoints_resolve(&endpoints, err));
}

TEST(kafka_is_ignored_aloud_and_absent_rows_are_skipped)
{
    struct endpoints endpoints = {.kafka_broker = TEXT("kafka:9092")};

    assert_ok(endpoints_resolve(&endpoints, err));
    assert_int_equal(endpoints.note_count, 1);
    assert_non_null(strstr(endpoints.notes[0], "KAFKA_BROKER is ignored"));
    assert_string_equal(endpoints.postgres, "");
    assert_string_equal(endpoints.redis, "");
}

TEST(an_address_that_is_too_long_is_refused)
{
    struct endpoints endpoints = defaults();
    char text[2 * ENDPOINT_MAX];

    memset(text, 'x', sizeof(text));
    memcpy(text, "postgres://", 11);
    text[sizeof(text) - 1] = '\0';
    endpoints.database_url = text;
    assert_fails(ERROR_INVALID, endpoints_resolve(&endpoints, err));
}

static void assert_says(struct endpoint *endpoint, const char *text)
{
    AUTO(endpoint_text_free) char *now = endpoint_get(endpoint, NULL);

    assert_string_equal(now, text);
}

TEST(fresh_settings_move_the_running_ones_clients)
{
    struct endpoints running = defaults();
    struct endpoints fresh = defaults();

    running.nats_url = TEXT("nats://one");
    assert_ok(endpoints_resolve(&running, err));
    assert_ok(endpoints_open(&running, err));
    fresh.nats_url = TEXT("nats://two");
    fresh.postgres_password = TEXT("p");
    assert_ok(endpoints_resolve(&fresh, err));
    assert_ok(endpoints_take_up(&running, &fresh, err));

    assert_says(running.live.nats, "nats://two");
    assert_says(running.live.postgres, "postgres://adledger:p@127.0.0.1:5432/adledger");
    assert_says(running.live.redis, "redis://127.0.0.1:6379/0");
    assert_int_equal(endpoint_version(running.live.nats), 2);
    assert_int_equal(endpoint_version(running.live.postgres), 2);
    assert_int_equal(endpoint_version(running.live.redis), 1);
    endpoints_close(&running);
    assert_null(running.live.nats);
}

TEST(what_a_service_has_no_rows_for_has_no_endpoint)
{
    struct endpoints running = {.nats_url = TEXT("nats://one")};
    struct endpoints fresh = {.nats_url = TEXT("nats://two")};

    assert_ok(endpoints_resolve(&running, err));
    assert_ok(endpoints_open(&running, err));
    assert_null(running.live.postgres);
    assert_null(running.live.redis);
    assert_ok(endpoints_resolve(&fresh, err));
    assert_ok(endpoints_take_up(&running, &fresh, err));
    assert_says(running.live.nats, "nats://two");
    endpoints_close(&running);
}

TESTS(RUN(the_defaults_are_loopback), RUN(the_newest_name_wins),
      RUN(passwords_are_encoded_into_the_address),
      RUN(a_dsn_of_another_driver_loses_the_keys_that_libpq_does_not_know),
      RUN(blanks_around_the_sign_of_a_dsn_are_kept_working),
      RUN(what_cannot_be_an_address_is_refused_without_its_password),
      RUN(a_bad_redis_address_names_its_variable),
      RUN(an_ipv6_host_gets_its_brackets_and_a_url_in_the_wrong_variable_works),
      RUN(an_address_may_name_several_servers),
      RUN(kafka_is_ignored_aloud_and_absent_rows_are_skipped),
      RUN(an_address_that_is_too_long_is_refused),
      RUN(fresh_settings_move_the_running_ones_clients),
      RUN(what_a_service_has_no_rows_for_has_no_endpoint))
