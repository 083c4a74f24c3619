#include "check.h"
#include "clients/redis.h"

#include <string.h>

TEST(every_part_may_be_there_or_not)
{
    static const struct {
        const char *url, *host;
        int port, database;
        const char *user, *password;
    } rows[] = {
        {"redis://localhost", "localhost", 6379, 0, "", ""},
        {"redis://localhost/", "localhost", 6379, 0, "", ""},
        {"redis://127.0.0.1:1234/5", "127.0.0.1", 1234, 5, "", ""},
        {"redis://:secret@r:1", "r", 1, 0, "", "secret"},
        {"redis://ann:a%40b@c:p@r:65535/0", "r", 65535, 0, "ann", "a@b@c:p"},
        {"redis://[::1]:7/2", "::1", 7, 2, "", ""},
        {"redis://[fe80::1]", "fe80::1", 6379, 0, "", ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_address address;

        assert_ok(redis_address_parse(rows[i].url, &address, err));
        assert_string_equal(address.host, rows[i].host);
        assert_int_equal(address.port, rows[i].port);
        assert_int_equal(address.database, rows[i].database);
        assert_string_equal(address.user, rows[i].user);
        assert_string_equal(address.password, rows[i].password);
    }
}

TEST(what_is_wrong_is_named_and_no_password_is_shown)
{
    static const char *const urls[] = {
        "",
        "localhost:6379",
        "rediss://:secret@r",
        "redis://",
        "redis://:secret@",
        "redis://secret@r",
        "redis://:secret@r:0",
        "redis://:secret@r:65536",
        "redis://:secret@r:x",
        "redis://:secret@r:",
        "redis://:secret@r/x",
        "redis://:secret@r/1/2",
        "redis://:secret@r/99999999",
        "redis://:secret@r?db=1",
        "redis://:secret%@r",
        "redis://:secret@[::1",
        "redis://:secret@[::1]x",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct redis_address address;

        if (redis_address_parse(urls[i], &address, err))
            fail_msg("taken: %s", urls[i]);
        assert_int_equal(err->kind, ERROR_INVALID);
        assert_null(strstr(err->text, "secret"));
    }
}

TESTS(RUN(every_part_may_be_there_or_not), RUN(what_is_wrong_is_named_and_no_password_is_shown))
