#include "check.h"

#include "event/event_id.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { IDS = 3000 };

static const int64_t at_ms = 1767323045678; /* 2026-01-02T03:04:05.678Z */

static uint8_t made[2 * IDS][EVENT_ID_SIZE];

/* ctx: the first of IDS places in `made`. */
static void *make_ids(void *ctx)
{
    uint8_t(*ids)[EVENT_ID_SIZE] = ctx;

    for (size_t i = 0; i < IDS; i++)
        event_id_make(at_ms, ids[i]);
    return NULL;
}

static int compare_ids(const void *left, const void *right)
{
    return memcmp(left, right, EVENT_ID_SIZE);
}

TEST(a_new_id_has_version_7_the_variant_and_its_time)
{
    uint8_t id[EVENT_ID_SIZE];

    event_id_make(at_ms, id);
    assert_int_equal(event_id_version(id), 7);
    assert_int_equal(id[8] & 0xc0, 0x80);
    assert_int_equal(event_id_at_ms(id), at_ms);
}

TEST(an_id_keeps_every_time_of_48_bits)
{
    const int64_t times[] = {0, 1, 0xff, 0x100, INT64_C(0x0123456789ab), INT64_C(0xffffffffffff)};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        uint8_t id[EVENT_ID_SIZE];

        event_id_make(times[i], id);
        assert_int_equal(event_id_at_ms(id), times[i]);
    }
}

TEST(no_two_ids_are_alike_on_one_thread_or_on_two)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, make_ids, made + IDS), 0);
    (void)make_ids(made);
    assert_int_equal(pthread_join(thread, NULL), 0);

    qsort(made, (size_t)2 * IDS, EVENT_ID_SIZE, compare_ids);
    for (size_t i = 1; i < (size_t)2 * IDS; i++)
        assert_memory_not_equal(made[i - 1], made[i], EVENT_ID_SIZE);
}

TEST(formatting_and_parsing_give_the_same_id)
{
    for (int i = 0; i < 100; i++) {
        uint8_t id[EVENT_ID_SIZE];
        uint8_t again[EVENT_ID_SIZE];
        char text[EVENT_ID_TEXT_SIZE];

        event_id_make(at_ms, id);
        event_id_format(id, text);
        assert_int_equal(strlen(text), 36);
        assert_true(event_id_parse(text, 36, again));
        assert_memory_equal(id, again, EVENT_ID_SIZE);
    }
}

TEST(parses_both_cases_of_hex)
{
    const uint8_t expected[EVENT_ID_SIZE] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                             0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint8_t id[EVENT_ID_SIZE];
    char text[EVENT_ID_TEXT_SIZE];

    assert_true(event_id_parse("01234567-89AB-CDEF-0123-456789abcdef", 36, id));
    assert_memory_equal(id, expected, EVENT_ID_SIZE);
    event_id_format(id, text);
    assert_string_equal(text, "01234567-89ab-cdef-0123-456789abcdef");
}

TEST(refuses_whatever_is_no_uuid_and_leaves_the_output_alone)
{
    static const char *const bad[] = {
        "",
        "0",
        "0123456789abcdef0123456789abcdef",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdef0",
        "{1234567-89ab-cdef-0123-456789abcde}",
        "0123456-789ab-cdef-0123-456789abcdef",
        "01234567_89ab_cdef_0123_456789abcdef",
        "g1234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcde ",
        "+1234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-45678 abcdef",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t id[EVENT_ID_SIZE] = {7};

        assert_false(event_id_parse(bad[i], strlen(bad[i]), id));
        assert_int_equal(id[0], 7);
    }
    uint8_t id[EVENT_ID_SIZE];
    assert_false(event_id_parse("01234567-89ab-cdef-0123-456789abcde\0", 36, id));
}

TEST(the_version_counts_only_with_the_standard_variant)
{
    static const struct {
        const char *text;
        int version;
    } rows[] = {
        {"0190163d-8694-739b-8ea5-966c26f8ad91", 7}, {"0190163d-8694-739b-bea5-966c26f8ad91", 7},
        {"0190163d-8694-839b-aea5-966c26f8ad91", 8}, {"11111111-1111-4111-9111-111111111111", 4},
        {"11111111-1111-1111-1111-111111111111", 0}, {"0190163d-8694-739b-cea5-966c26f8ad91", 0},
        {"00000000-0000-0000-0000-000000000000", 0}, {"ffffffff-ffff-ffff-ffff-ffffffffffff", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t id[EVENT_ID_SIZE];

        assert_true(event_id_parse(rows[i].text, 36, id));
        assert_int_equal(event_id_version(id), rows[i].version);
    }
}

TEST(a_foreign_id_and_its_time_always_give_the_same_id)
{
    uint8_t foreign[EVENT_ID_SIZE];
    uint8_t id[EVENT_ID_SIZE];
    char text[EVENT_ID_TEXT_SIZE];

    assert_true(event_id_parse("f47ac10b-58cc-4372-a567-0e02b2c3d479", 36, foreign));
    event_id_from_foreign(foreign, at_ms, id);
    event_id_format(id, text);
    /* The time, then XXH3_128 of the 16 bytes: what is stored must stay what it was. */
    assert_string_equal(text, "019b7ca9-8f2e-880b-be75-642ead795daf");
    assert_int_equal(event_id_version(id), 8);
    assert_int_equal(event_id_at_ms(id), at_ms);
}

TEST(another_foreign_id_or_another_time_gives_another_id)
{
    uint8_t foreign[EVENT_ID_SIZE] = {1};
    uint8_t ids[3][EVENT_ID_SIZE];

    event_id_from_foreign(foreign, at_ms, ids[0]);
    event_id_from_foreign(foreign, at_ms + 1, ids[1]);
    foreign[15] = 1;
    event_id_from_foreign(foreign, at_ms, ids[2]);
    assert_memory_not_equal(ids[0], ids[1], EVENT_ID_SIZE);
    assert_memory_not_equal(ids[0], ids[2], EVENT_ID_SIZE);
}

TESTS(RUN(a_new_id_has_version_7_the_variant_and_its_time), RUN(an_id_keeps_every_time_of_48_bits),
      RUN(no_two_ids_are_alike_on_one_thread_or_on_two),
      RUN(formatting_and_parsing_give_the_same_id), RUN(parses_both_cases_of_hex),
      RUN(refuses_whatever_is_no_uuid_and_leaves_the_output_alone),
      RUN(the_version_counts_only_with_the_standard_variant),
      RUN(a_foreign_id_and_its_time_always_give_the_same_id),
      RUN(another_foreign_id_or_another_time_gives_another_id))
