#include "check.h"
#include "record_fixture.h"

/* 2026-01-02T03:04:05.678Z */
#define GOOD_AT_MS INT64_C(1767323045678)

static struct record record_with(enum click_field field, const char *text)
{
    struct record record = good_record();

    record.values[field] = value_of(text);
    return record;
}

static void takes_time(const char *text, int64_t expected, struct error *err)
{
    struct record record = record_with(CLICK_TIME, text);
    struct click click;

    assert_ok(click_from_record(&record, &click, err));
    assert_int_equal(click.event.event_at_ms, expected);
    assert_int_equal(click.event.received_at_ms, expected);
}

static void refuses(enum click_field field, const char *text, struct error *err)
{
    struct record record = record_with(field, text);
    struct click click;

    assert_fails(ERROR_INVALID, click_from_record(&record, &click, err));
}

static void takes_address(const char *text, size_t size, struct error *err)
{
    struct record record = record_with(CLICK_IP, text);
    struct click click;

    assert_ok(click_from_record(&record, &click, err));
    assert_int_equal(click.event.ip.size, size);
}

TEST(a_record_with_ad_and_time_is_a_click)
{
    struct record record = good_record();
    struct click click;

    assert_ok(click_from_record(&record, &click, err));

    assert_int_equal(click.event.type, EVENT_CLICK);
    assert_string_equal(click.event.ad_id, "ad-001");
    assert_int_equal(click.event.ad_id_size, 6);
    assert_int_equal(click.event.received_at_ms, GOOD_AT_MS);
    assert_int_equal(click.event.playback_ms, EVENT_PLAYBACK_ABSENT);
    assert_int_equal(click.event.ip.size, 0);
}

TEST(takes_a_time_as_rfc_3339_seconds_or_milliseconds)
{
    takes_time("2026-01-02T04:04:05.678901234+01:00", GOOD_AT_MS, err);
    takes_time("1767323045678", GOOD_AT_MS, err);
    takes_time("1767323045", GOOD_AT_MS - 678, err);
    takes_time("1767323045.678", GOOD_AT_MS, err);
}

TEST(refuses_what_is_no_time)
{
    static const char *const texts[] = {"",
                                        NULL,
                                        "yesterday",
                                        "2026-01-02",
                                        "0",
                                        "-5",
                                        "1e400",
                                        "nan",
                                        "0x10",
                                        "0001-01-01T00:00:00Z",
                                        "2026-02-30T00:00:00Z",
                                        "9999999999999999"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refuses(CLICK_TIME, texts[i], err);
}

TEST(takes_an_address_with_what_trackers_left_around_it)
{
    takes_address("192.0.2.1", 4, err);
    takes_address("192.0.2.1:4711", 4, err);
    takes_address("[2001:db8::1]:4711", 16, err);
    takes_address("2001:db8::1", 16, err);
    takes_address("192.0.2.1, 10.0.0.1", 4, err);
    takes_address("", 0, err);
    takes_address(NULL, 0, err);
}

TEST(refuses_what_is_no_address)
{
    refuses(CLICK_IP, "localhost", err);
    refuses(CLICK_IP, "999.1.1.1", err);
    refuses(CLICK_IP, "[", err);
    refuses(CLICK_IP, ",", err);
}

TEST(takes_playback_in_seconds_up_to_a_day)
{
    struct record record = record_with(CLICK_PLAYBACK, "12.3456");
    struct click click;

    assert_ok(click_from_record(&record, &click, err));
    assert_int_equal(click.event.playback_ms, 12346);
    record = record_with(CLICK_PLAYBACK, "86400");
    assert_ok(click_from_record(&record, &click, err));
    assert_int_equal(click.event.playback_ms, 86400000);
}

TEST(refuses_a_playback_that_cannot_be)
{
    refuses(CLICK_PLAYBACK, "-1", err);
    refuses(CLICK_PLAYBACK, "86401", err);
    refuses(CLICK_PLAYBACK, "NaN", err);
    refuses(CLICK_PLAYBACK, "1e", err);
    refuses(CLICK_PLAYBACK, "ten", err);
}

TEST(refuses_an_ad_that_cannot_be)
{
    refuses(CLICK_AD_ID, NULL, err);
    refuses(CLICK_AD_ID, "", err);
    refuses(CLICK_AD_ID, "a b", err);
    refuses(CLICK_AD_ID, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", err);
}

TESTS(RUN(a_record_with_ad_and_time_is_a_click),
      RUN(takes_a_time_as_rfc_3339_seconds_or_milliseconds), RUN(refuses_what_is_no_time),
      RUN(takes_an_address_with_what_trackers_left_around_it), RUN(refuses_what_is_no_address),
      RUN(takes_playback_in_seconds_up_to_a_day), RUN(refuses_a_playback_that_cannot_be),
      RUN(refuses_an_ad_that_cannot_be))
