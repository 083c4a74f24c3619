/* A dead letter's way back: a header before its bytes makes a batch of it. */
#include "check.h"

#include "letter.h"

#include <string.h>

static struct event click(void)
{
    struct event event = {.type = EVENT_CLICK,
                          .ad_id = "ad-001",
                          .ad_id_size = 6,
                          .event_at_ms = 1700000000000,
                          .received_at_ms = 1700000000001,
                          .playback_ms = EVENT_PLAYBACK_ABSENT};

    event.id[6] = 0x70;
    event.id[8] = 0x80;
    return event;
}

static bool keep(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct event *out = ctx;

    assert_int_equal(index, 0);
    assert_null(why);
    *out = *event;
    return true;
}

TEST(a_letter_is_read_as_the_event_that_it_was)
{
    const struct event sent = click();
    uint8_t bytes[CODEC_EVENT_MAX];
    struct event found = {.type = EVENT_UNSPECIFIED};

    assert_ok(letter_read(bytes, codec_append_event(bytes, &sent), keep, &found, err));

    assert_int_equal(found.type, EVENT_CLICK);
    assert_string_equal(found.ad_id, "ad-001");
    assert_int_equal(found.received_at_ms, sent.received_at_ms);
}

TEST(bytes_that_are_no_event_are_no_letter_of_one)
{
    const uint8_t bytes[] = {0xff, 0xff, 0xff};
    struct event found;

    assert_fails(ERROR_INVALID, letter_read(bytes, sizeof(bytes), keep, &found, err));
}

TEST(a_replays_batch_promises_nothing)
{
    struct letter_lane lane = {.gateway_id = {9}, .partition = 3, .count = 5};
    const struct event sent = click();
    uint8_t bytes[CODEC_HEADER_MAX + CODEC_EVENT_MAX];
    struct codec_header header;
    struct event found;
    size_t size = letter_header(&lane, 2, 1700000000500, bytes);

    size += codec_append_event(bytes + size, &sent);
    assert_ok(codec_read_batch(bytes, size, &header, keep, &found, err));

    assert_int_equal(header.gateway_id[0], 9);
    assert_int_equal(header.partition, 3);
    assert_int_equal(header.batch_no, 2);
    assert_int_equal(header.accepted, 0);
    assert_int_equal(header.abandoned.count, 1);
    assert_int_equal(header.abandoned.rows[0].first, 1);
    assert_int_equal(header.abandoned.rows[0].last, 5);
    assert_string_equal(found.ad_id, "ad-001");
}

TEST(a_code_is_letters_digits_and_underscores)
{
    const char longest[LETTER_CODE_SIZE + 1] = "abcdefghijklmnopqrstuvwxyzABCDE_";

    assert_true(letter_code_is_valid("unknown_ad", 10));
    assert_true(letter_code_is_valid("22P02", 5));
    assert_true(letter_code_is_valid(longest, LETTER_CODE_SIZE - 1));
    assert_false(letter_code_is_valid(longest, LETTER_CODE_SIZE));
    assert_false(letter_code_is_valid("", 0));
    assert_false(letter_code_is_valid("a b", 3));
    assert_false(letter_code_is_valid("a\0b", 3));
    assert_false(letter_code_is_valid("\xc3\xa9", 2));
}

TEST(an_id_is_decimal_digits_alone)
{
    int64_t id = 0;

    assert_true(letter_id_parse("42", 2, &id));
    assert_int_equal(id, 42);
    assert_false(letter_id_parse("", 0, &id));
    assert_false(letter_id_parse("0", 1, &id));
    assert_false(letter_id_parse("-1", 2, &id));
    assert_false(letter_id_parse("1e3", 3, &id));
    assert_false(letter_id_parse("9999999999999999999", 19, &id));
}

TESTS(RUN(a_letter_is_read_as_the_event_that_it_was),
      RUN(bytes_that_are_no_event_are_no_letter_of_one), RUN(a_replays_batch_promises_nothing),
      RUN(a_code_is_letters_digits_and_underscores), RUN(an_id_is_decimal_digits_alone))
