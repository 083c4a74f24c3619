#include "check.h"

#include "base/time_text.h"

#include <string.h>
#include <time.h>

static const struct {
    const char *text;
    int64_t at_ms;
} good[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T00:00:00.001Z", 1},
    {"1969-12-31T23:59:59.999Z", -1},
    {"2026-01-02T03:04:05.678Z", 1767323045678},
    {"2026-01-02t03:04:05.678z", 1767323045678},
    {"2026-01-02T03:04:05.6789999Z", 1767323045678},
    {"2026-01-02T03:04:05.6Z", 1767323045600},
    {"2026-01-02T03:04:05.67Z", 1767323045670},
    {"2026-01-02T03:04:05.123456789Z", 1767323045123},
    {"2026-01-02T04:04:05.678+01:00", 1767323045678},
    {"2026-01-01T21:34:05.678-05:30", 1767323045678},
    {"2026-01-02T03:04:05.678+00:00", 1767323045678},
    {"2026-01-02T03:04:05.678-00:00", 1767323045678},
    {"2024-02-29T00:00:00Z", 1709164800000},
    {"2000-02-29T00:00:00Z", 951782400000},
    {"2016-12-31T23:59:60Z", 1483228799000},
    {"2017-01-01T00:59:60+01:00", 1483228799000},
    {"2016-12-31T23:59:60.500Z", 1483228799500},
    {"0001-01-01T00:00:00Z", -62135596800000},
    {"9999-12-31T23:59:59.999Z", 253402300799999},
};

static const char *const bad[] = {
    "",
    " ",
    "2026",
    "2026-01-02",
    "2026-01-02T03:04Z",
    "2026-01-02T03:04:05",
    "2026-01-02 03:04:05Z",
    "2026-01-02T03:04:05.Z",
    "2026-01-02T03:04:05.1234567890Z",
    "2026-01-02T03:04:05,5Z",
    "2026-01-02T03:04:05Z ",
    " 2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05ZZ",
    "2026-01-02T03:04:05+0100",
    "2026-01-02T03:04:05+01",
    "2026-01-02T03:04:05+24:00",
    "2026-01-02T03:04:05+01:60",
    "2026-01-02T03:04:05+1:00",
    "2026-01-02T24:00:00Z",
    "2026-01-02T23:60:00Z",
    "2026-01-02T23:59:61Z",
    "2026-01-02T12:30:60Z",
    "2026-01-02T23:59:60+01:00",
    "2026-00-02T03:04:05Z",
    "2026-13-02T03:04:05Z",
    "2026-01-00T03:04:05Z",
    "2026-01-32T03:04:05Z",
    "2026-02-29T03:04:05Z",
    "2026-02-30T03:04:05Z",
    "2026-04-31T03:04:05Z",
    "1900-02-29T03:04:05Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "+2026-01-02T03:04:05Z",
    "-026-01-02T03:04:05Z",
    "2026-1-2T03:04:05Z",
    "26-01-02T03:04:05Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59.999-00:01",
    "2026-01-02T03:04:05.+1Z",
    "infinity",
    "now",
    "1767323045",
};

TEST(reads_an_instant_with_any_offset)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t at_ms = 12345;

        if (!time_text_parse(good[i].text, strlen(good[i].text), &at_ms))
            fail_msg("\"%s\" is refused", good[i].text);
        if (at_ms != good[i].at_ms)
            fail_msg("\"%s\" is read as %lld", good[i].text, (long long)at_ms);
    }
}

TEST(refuses_what_is_not_exactly_one_instant)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t at_ms = 12345;

        if (time_text_parse(bad[i], strlen(bad[i]), &at_ms))
            fail_msg("\"%s\" is accepted", bad[i]);
        assert_int_equal(at_ms, 12345);
    }
}

TEST(every_cut_of_a_good_text_is_refused)
{
    static const char text[] = "2026-01-02T04:04:05.678+01:00";
    int64_t at_ms = 0;

    for (size_t size = 0; size < sizeof(text) - 1; size++)
        assert_false(time_text_parse(text, size, &at_ms));
}

TEST(a_nul_byte_inside_is_refused)
{
    int64_t at_ms = 0;

    assert_false(time_text_parse("2026-01-02T03:04:05Z\0", 21, &at_ms));
    assert_false(time_text_parse("2026-01-02T\0003:04:05Z", 21, &at_ms));
}

TEST(writes_milliseconds_in_utc)
{
    char text[TIME_TEXT_SIZE];

    time_text_format(1767323045678, text);
    assert_string_equal(text, "2026-01-02T03:04:05.678Z");
    time_text_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

TEST(writes_the_nearest_instant_of_four_digits_for_one_outside)
{
    char text[TIME_TEXT_SIZE];

    time_text_format(INT64_MIN, text);
    assert_string_equal(text, "0001-01-01T00:00:00.000Z");
    time_text_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

TEST(agrees_with_the_c_library_on_every_day_of_four_centuries)
{
    for (int64_t day = -25567; day < 146097; day++) {
        int64_t at_ms = day * 86400000 + 45296789;
        time_t seconds = (time_t)(day * 86400 + 45296);
        struct tm tm;
        char expected[40];
        char text[TIME_TEXT_SIZE];
        int64_t back_ms = 0;

        assert_non_null(gmtime_r(&seconds, &tm));
        (void)strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.789Z", &tm);
        time_text_format(at_ms, text);
        if (strcmp(text, expected) != 0)
            fail_msg("%lld is written %s, not %s", (long long)at_ms, text, expected);
        assert_true(time_text_parse(text, strlen(text), &back_ms));
        assert_true(back_ms == at_ms);
    }
}

TESTS(RUN(reads_an_instant_with_any_offset), RUN(refuses_what_is_not_exactly_one_instant),
      RUN(every_cut_of_a_good_text_is_refused), RUN(a_nul_byte_inside_is_refused),
      RUN(writes_milliseconds_in_utc),
      RUN(writes_the_nearest_instant_of_four_digits_for_one_outside),
      RUN(agrees_with_the_c_library_on_every_day_of_four_centuries))
