#include "check.h"

#include "event/visitor.h"
#include "ip_text.h"

#include <string.h>

static const uint8_t salt[VISITOR_SALT_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};

static struct event_ip address(const char *text)
{
    struct event_ip ip = {.size = 0};

    assert_true(ip_parse(text, strlen(text), &ip));
    return ip;
}

TEST(the_hash_is_siphash_2_4_of_size_address_and_agent)
{
    /* SipHash's published vector: the key 00..0f over the bytes 00..0e. An unknown address is the
     * byte 00, so that the agent 01..0e completes the input. */
    const char agent[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    const struct event_ip unknown = {.size = 0};

    assert_true(visitor_hash(salt, &unknown, agent, sizeof(agent)) == UINT64_C(0xa129ca6149be45e5));
}

TEST(address_agent_and_salt_each_make_another_visitor)
{
    const uint8_t other_salt[VISITOR_SALT_SIZE] = {1};
    const struct event_ip one = address("192.0.2.1");
    const struct event_ip two = address("192.0.2.2");
    uint64_t visitor = visitor_hash(salt, &one, "curl", 4);

    assert_true(visitor == visitor_hash(salt, &one, "curl", 4));
    assert_true(visitor != visitor_hash(salt, &two, "curl", 4));
    assert_true(visitor != visitor_hash(salt, &one, "wget", 4));
    assert_true(visitor != visitor_hash(other_salt, &one, "curl", 4));
    assert_true(visitor != visitor_hash(salt, &one, NULL, 0));
}

TEST(address_and_agent_cannot_be_shifted_into_each_other)
{
    const struct event_ip four = {.bytes = {'a', 'a', 'a', 'a'}, .size = 4};
    const struct event_ip sixteen = {.bytes = "aaaaaaaaaaaaaaa", .size = 16};
    const char *agent = "aaaaaaaaaaa";

    assert_true(visitor_hash(salt, &four, agent, 11) != visitor_hash(salt, &sixteen, agent, 0));
}

TEST(only_the_head_of_a_very_long_agent_counts)
{
    static char agent[VISITOR_USER_AGENT_MAX + 10];
    const struct event_ip ip = address("192.0.2.1");

    memset(agent, 'x', sizeof(agent));
    assert_true(visitor_hash(salt, &ip, agent, sizeof(agent)) ==
                visitor_hash(salt, &ip, agent, VISITOR_USER_AGENT_MAX));
    assert_true(visitor_hash(salt, &ip, agent, VISITOR_USER_AGENT_MAX) !=
                visitor_hash(salt, &ip, agent, VISITOR_USER_AGENT_MAX - 1));
}

TEST(reads_every_form_of_an_address)
{
    static const struct {
        const char *text;
        const char *shortest;
        int size;
    } rows[] = {
        {"0.0.0.0", "0.0.0.0", 4},
        {"255.255.255.255", "255.255.255.255", 4},
        {"192.168.1.1", "192.168.1.1", 4},
        {"::", "::", 16},
        {"::1", "::1", 16},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", 16},
        {"2001:0db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6666", 16},
        {"::ffff:192.0.2.1", "192.0.2.1", 4},
        {"::ffff:c000:201", "192.0.2.1", 4},
        {"0000:0000:0000:0000:0000:ffff:192.168.100.200", "192.168.100.200", 4},
        {"64:ff9b::192.0.2.1", "64:ff9b::c000:201", 16},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct event_ip ip = address(rows[i].text);
        char text[IP_TEXT_SIZE];

        assert_int_equal(ip.size, rows[i].size);
        assert_string_equal(ip_text(&ip, text), rows[i].shortest);
    }
}

TEST(refuses_whatever_is_no_address)
{
    static const char *const bad[] = {
        "",
        " ",
        "999.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.4/24",
        "1.2.3.4:80",
        " 1.2.3.4",
        "1.2.3.4 ",
        "0x7f.0.0.1",
        "2130706433",
        "1.2.3.256",
        "1..3.4",
        "fe80::1%lo",
        "fe80::1%1",
        "::1/64",
        "[::1]",
        ":::",
        "1::2::3",
        "12345::",
        "1:2:3:4:5:6",
        "1:2:3:4:5:6:7:8:9",
        "::ffff:1.2.3.256",
        "localhost",
        "::1\n",
        "-1.2.3.4",
        "1.2.3.-4",
        "g::1",
        "0000:0000:0000:0000:0000:ffff:192.168.100.2000",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct event_ip ip;

        if (ip_parse(bad[i], strlen(bad[i]), &ip))
            fail_msg("taken: \"%s\"", bad[i]);
    }
    struct event_ip ip;
    assert_false(ip_parse("1.2.3.4\0", 8, &ip));
}

TEST(stores_of_an_address_what_the_setting_allows)
{
    static const struct {
        const char *ip;
        enum ip_storage storage;
        const char *stored;
    } rows[] = {
        {"203.0.113.77", IP_STORAGE_FULL, "203.0.113.77"},
        {"203.0.113.77", IP_STORAGE_TRUNCATED, "203.0.113.0"},
        {"203.0.113.77", IP_STORAGE_NONE, ""},
        {"2001:db8:1:2:3:4:5:6", IP_STORAGE_FULL, "2001:db8:1:2:3:4:5:6"},
        {"2001:db8:1:2:3:4:5:6", IP_STORAGE_TRUNCATED, "2001:db8:1::"},
        {"2001:db8:1:2:3:4:5:6", IP_STORAGE_NONE, ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct event_ip ip = address(rows[i].ip);
        struct event_ip stored = ip_for_storage(&ip, rows[i].storage);
        char text[IP_TEXT_SIZE];

        assert_string_equal(ip_text(&stored, text), rows[i].stored);
    }
}

TEST(an_unknown_address_stays_unknown)
{
    const struct event_ip unknown = {.size = 0};

    for (int storage = IP_STORAGE_FULL; storage <= IP_STORAGE_NONE; storage++)
        assert_int_equal(ip_for_storage(&unknown, (enum ip_storage)storage).size, 0);
}

TEST(reads_the_setting)
{
    enum ip_storage storage = IP_STORAGE_FULL;

    assert_true(ip_storage_parse("truncated", &storage));
    assert_int_equal(storage, IP_STORAGE_TRUNCATED);
    assert_true(ip_storage_parse("none", &storage));
    assert_int_equal(storage, IP_STORAGE_NONE);
    assert_true(ip_storage_parse("full", &storage));
    assert_int_equal(storage, IP_STORAGE_FULL);
    assert_false(ip_storage_parse("", &storage));
    assert_false(ip_storage_parse("Full", &storage));
    assert_false(ip_storage_parse("half", &storage));
}

TESTS(RUN(the_hash_is_siphash_2_4_of_size_address_and_agent),
      RUN(address_agent_and_salt_each_make_another_visitor),
      RUN(address_and_agent_cannot_be_shifted_into_each_other),
      RUN(only_the_head_of_a_very_long_agent_counts), RUN(reads_every_form_of_an_address),
      RUN(refuses_whatever_is_no_address), RUN(stores_of_an_address_what_the_setting_allows),
      RUN(an_unknown_address_stays_unknown), RUN(reads_the_setting))
