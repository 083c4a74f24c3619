/*
 * The fast parser against jansson: random bodies made of pieces that matter, half of them damaged.
 * Whatever the fast one takes, jansson takes too and reads alike; and it takes the usual ones.
 */
#include "flat_agrees.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS = 60000, BODY_MAX = 4096 };

static struct tree_parser parser;

static bool takes(const char *body)
{
    struct fields fields;

    return flat_parse_fields(body, strlen(body), &fields);
}

TEST(takes_the_bodies_that_clients_send)
{
    static const char *const bodies[] = {
        "{\"ad_id\":\"ad-001\",\"video_play_time\":30}",
        "{\"adId\":\"11111111-1111-1111-1111-111111111111\",\"timestamp\":\"2026-01-02T03:04:05Z\","
        "\"ipAddress\":\"192.168.1.1\",\"videoPlaybackTime\":15.7}",
        "{\"ad_id\":1,\"ip_address\":\"192.168.1.1\",\"playback_time\":10.5,"
        "\"timestamp\":\"2026-01-02T03:04:05Z\"}",
        " { \"ad_id\" : -1 , \"type\" : \"click\" } \r\n",
        "{\"ad_id\":123456789012345678,\"playback_time\":0.00000000000001}",
    };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_true(takes(bodies[i]));
        assert_null(flat_disagrees(&parser, bodies[i], strlen(bodies[i])));
    }
}

TEST(leaves_everything_unusual_to_jansson)
{
    static const char *const bodies[] = {
        "",
        "{}x",
        "{\"ad_id\":\"\\u0061\"}",
        "{\"ad_id\":\"\xc3\xa4\"}",
        "{\"ad_id\":\"a\tb\"}",
        "{\"ad_id\":1,\"ad_id\":1}",
        "{\"ad_id\":1,\"other\":1}",
        "{\"ad_id\":null}",
        "{\"ad_id\":[1]}",
        "{\"ad_id\":{}}",
        "{\"ad_id\":1e2}",
        "{\"ad_id\":1.5e2}",
        "{\"ad_id\":01}",
        "{\"ad_id\":1.}",
        "{\"ad_id\":-}",
        "{\"ad_id\":1234567890123456789}",
        "{\"ad_id\":1.2345678901234567}",
        "{\"ad_id\":1,}",
        "{\"ad_id\":1",
        "{\"ad_id\"}",
        "[]",
    };

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if (takes(bodies[i]))
            fail_msg("taken: %s", bodies[i]);
    }
}

/* splitmix64: every run sees the same bodies. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static const char *pick(uint64_t *state, const char *const *from, size_t count)
{
    return from[next_random(state) % count];
}

#define PICK(state, from) pick((state), (from), sizeof(from) / sizeof((from)[0]))

static void add(char *body, const char *piece)
{
    size_t size = strlen(body);

    if (size + strlen(piece) < BODY_MAX)
        memcpy(body + size, piece, strlen(piece) + 1);
}

static void add_value(uint64_t *state, char *body)
{
    static const char *const values[] = {
        "\"a\"",
        "\"\"",
        "1",
        "0",
        "-0",
        "-1",
        "30",
        "15.7",
        "-0.5",
        "0.0",
        "1e3",
        "1E-3",
        "null",
        "true",
        "[]",
        "{}",
        "\"\\n\"",
        "\"\xc3\xa4\"",
        "\"1.2.3.4\"",
        "86400",
        "00",
        "1.50",
        "999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "0.1234567890123456",
        "\"2026-01-02T03:04:05Z\"",
        "\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"",
        "-",
        "1.",
        ".5",
    };
    char number[40];

    if (next_random(state) % 3 != 0) {
        add(body, PICK(state, values));
        return;
    }
    (void)snprintf(
        number, sizeof(number), "%llu.%0*llu", (unsigned long long)(next_random(state) % 100000),
        (int)(1 + next_random(state) % 9), (unsigned long long)(next_random(state) % 1000000000));
    add(body, number);
}

static void make_body(uint64_t *state, char *body)
{
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t", "\r\n", "  "};
    static const char *const names[] = {
        "\"ad_id\"",
        "\"adId\"",
        "\"ip\"",
        "\"ip_address\"",
        "\"ipAddress\"",
        "\"playback_time\"",
        "\"video_playback_time\"",
        "\"videoPlaybackTime\"",
        "\"video_play_time\"",
        "\"event_id\"",
        "\"eventId\"",
        "\"click_id\"",
        "\"clickId\"",
        "\"timestamp\"",
        "\"type\"",
        "\"other\"",
    };
    size_t pairs = next_random(state) % 6;

    body[0] = '\0';
    add(body, PICK(state, blanks));
    add(body, "{");
    for (size_t i = 0; i < pairs; i++) {
        add(body, i > 0 ? "," : "");
        add(body, PICK(state, blanks));
        add(body, PICK(state, names));
        add(body, PICK(state, blanks));
        add(body, ":");
        add(body, PICK(state, blanks));
        add_value(state, body);
        add(body, PICK(state, blanks));
    }
    add(body, "}");
    add(body, PICK(state, blanks));
}

/* Changes, drops or doubles one byte. */
static size_t damage(uint64_t *state, char *body, size_t size)
{
    static const char bytes[] = "{}[]\",:.-+eE0123456789 \\/\n\x01\x7f\x80\xff";
    size_t at = next_random(state) % size;

    switch (next_random(state) % 3) {
    case 0:
        body[at] = bytes[next_random(state) % sizeof(bytes)]; /* its NUL too */
        return size;
    case 1:
        memmove(body + at, body + at + 1, size - at - 1);
        return size - 1;
    default:
        memmove(body + at + 1, body + at, size - at);
        return size + 1;
    }
}

TEST(agrees_with_jansson_on_whatever_it_takes)
{
    uint64_t state = 42;
    size_t taken = 0;

    for (int i = 0; i < ROUNDS; i++) {
        char body[BODY_MAX + 1];
        struct fields fields;

        make_body(&state, body);
        size_t size = strlen(body);
        if (i % 2 == 1)
            size = damage(&state, body, size);
        const char *why = flat_disagrees(&parser, body, size);
        if (why != NULL)
            fail_msg("%s: %.*s", why, (int)size, body);
        taken += flat_parse_fields(body, size, &fields);
    }
    /* The comparison means something only when the fast one had enough to say. */
    assert_true(taken > ROUNDS / 10);
}

TEST(reads_short_decimals_as_strtod_does)
{
    uint64_t state = 7;

    for (int i = 0; i < ROUNDS; i++) {
        char body[80];
        int fraction = 1 + (int)(next_random(&state) % 14);
        int size = snprintf(body, sizeof(body), "{\"playback_time\":%s%u.%0*llu}",
                            i % 5 == 0 ? "-" : "", (unsigned)(next_random(&state) % 10), fraction,
                            (unsigned long long)(next_random(&state) % 100000000000000ULL));

        assert_null(flat_disagrees(&parser, body, (size_t)size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(takes_the_bodies_that_clients_send),
        RUN(leaves_everything_unusual_to_jansson),
        RUN(agrees_with_jansson_on_whatever_it_takes),
        RUN(reads_short_decimals_as_strtod_does),
    };
    int failed = 1;

    if (tree_init(&parser))
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    tree_free(&parser);
    return failed;
}
