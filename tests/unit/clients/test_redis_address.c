#include "check.h"
#include "clients/redis.h"

#include <stdio.h>
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

        assert_ok(redis_address_parse(rows[i].url, 0, &address, err));
        assert_string_equal(address.node.host, rows[i].host);
        assert_int_equal(address.node.port, rows[i].port);
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
        "redis://:secret@r:1,",
        "redis://:secret@r:1,,r:2",
        "redis://:secret@r:1,r:0",
        "redis://:secret@a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
    };

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct redis_address address;

        if (redis_address_parse(urls[i], 0, &address, err))
            fail_msg("taken: %s", urls[i]);
        assert_int_equal(err->kind, ERROR_INVALID);
        assert_null(strstr(err->text, "secret"));
    }
}

TEST(of_several_nodes_each_has_its_turn)
{
    static const char url[] = "redis://:a,b@one:1,[::2]:2,three/0";
    static const struct redis_node nodes[] = {{"one", 1}, {"::2", 2}, {"three", 6379}, {"one", 1}};

    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        struct redis_address address;

        assert_ok(redis_address_parse(url, i, &address, err));
        assert_int_equal(address.node_count, 3);
        assert_string_equal(address.node.host, nodes[i].host);
        assert_int_equal(address.node.port, nodes[i].port);
        assert_string_equal(address.password, "a,b");
    }
}

TEST(moved_names_the_node_that_has_the_slot)
{
    static const struct {
        const char *reply, *host;
        int port;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", 6381},
        {"MOVED 0 ::1:7", "::1", 7},
        {"MOVED 16383 redis-2.example:65535", "redis-2.example", 65535},
        {"MOVED 3999 :6381", "before", 6381},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_node node = {"before", 1};

        assert_true(redis_node_follow(rows[i].reply, &node));
        assert_string_equal(node.host, rows[i].host);
        assert_int_equal(node.port, rows[i].port);
    }
}

TEST(what_is_not_moved_leads_nowhere)
{
    static const char *const replies[] = {
        "",          "MOVED",          "MOVED ",         "MOVED 1",
        "MOVED 1 h", "MOVED 1 host:",  "MOVED 1 host:0", "MOVED 1 host:65536",
        "MOVED 1:7", "ASK 1 host:700", "ERR MOVED 1 h:7"};
    char long_reply[REDIS_HOST_MAX + 32];
    struct redis_node node = {"before", 1};

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
        assert_false(redis_node_follow(replies[i], &node));
    snprintf(long_reply, sizeof(long_reply), "MOVED 1 %0*d:7", REDIS_HOST_MAX + 1, 0);
    assert_false(redis_node_follow(long_reply, &node));
    assert_string_equal(node.host, "before");
    snprintf(long_reply, sizeof(long_reply), "MOVED 1 %0*d:7", REDIS_HOST_MAX, 0);
    assert_true(redis_node_follow(long_reply, &node));
}

TESTS(RUN(every_part_may_be_there_or_not), RUN(what_is_wrong_is_named_and_no_password_is_shown),
      RUN(of_several_nodes_each_has_its_turn), RUN(moved_names_the_node_that_has_the_slot),
      RUN(what_is_not_moved_leads_nowhere))
