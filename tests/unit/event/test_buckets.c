#include "check.h"

#include "event/buckets.h"

#include <string.h>

TEST(a_series_is_the_types_letter_with_the_reason_behind_a_dot)
{
    static const struct {
        enum event_type type;
        enum event_reason reason;
        const char *series;
    } rows[] = {
        {EVENT_CLICK, EVENT_VALID, "c"},
        {EVENT_IMPRESSION, EVENT_VALID, "i"},
        {EVENT_START, EVENT_VALID, "s"},
        {EVENT_FIRST_QUARTILE, EVENT_VALID, "f"},
        {EVENT_MIDPOINT, EVENT_VALID, "m"},
        {EVENT_THIRD_QUARTILE, EVENT_VALID, "t"},
        {EVENT_COMPLETE, EVENT_VALID, "e"},
        {EVENT_SKIP, EVENT_VALID, "k"},
        {EVENT_CLICK, EVENT_CRAWLER, "c.crawler"},
        {EVENT_CLICK, EVENT_DOUBLE_CLICK, "c.double_click"},
        {EVENT_IMPRESSION, EVENT_PREFETCH, "i.prefetch"},
        {EVENT_SKIP, EVENT_HEAD, "k.head"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char series[SERIES_MAX];

        size_t size = series_format(rows[i].type, rows[i].reason, series);

        assert_string_equal(series, rows[i].series);
        assert_int_equal(size, strlen(series));
    }
}

TEST(every_series_is_read_back)
{
    for (int type = EVENT_CLICK; type < EVENT_TYPE_COUNT; type++) {
        for (int reason = EVENT_VALID; reason < EVENT_REASON_COUNT; reason++) {
            char series[SERIES_MAX];
            enum event_type type_again = EVENT_UNSPECIFIED;
            enum event_reason reason_again = EVENT_VALID;
            size_t size = series_format((enum event_type)type, (enum event_reason)reason, series);

            assert_true(series_parse(series, size, &type_again, &reason_again));
            assert_int_equal(type_again, type);
            assert_int_equal(reason_again, reason);
        }
    }
}

TEST(what_is_no_series_is_refused)
{
    static const char *const bad[] = {"",        "x",         "?",          "C",     "c.",
                                      "c.head2", "ccrawler",  "c.crawler.", "cc",    ".crawler",
                                      "c ",      "c.Crawler", "c..head",    "c.hea", "?.head"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum event_type type;
        enum event_reason reason;

        if (series_parse(bad[i], strlen(bad[i]), &type, &reason))
            fail_msg("taken: \"%s\"", bad[i]);
    }
    enum event_type type;
    enum event_reason reason;
    assert_false(series_parse("\0", 1, &type, &reason));
}

/* The shapes of proto/redis.md, one by one. */
static void check_key(const char *expected, const char *key, size_t size)
{
    assert_string_equal(key, expected);
    assert_int_equal(size, strlen(expected));
}

TEST(keys_have_the_shapes_of_the_contract)
{
    char key[BUCKET_KEY_MAX];

    check_key("{0}:position", key, bucket_key_position(key, 0));
    check_key("{3}:fresh", key, bucket_key_fresh(key, 3));
    check_key("{3}:state", key, bucket_key_state(key, 3));
    check_key("{12}:t:ad-001", key, bucket_key_totals(key, 12, "ad-001"));
    check_key("{1}:s:ad-001:c:29455384", key,
              bucket_key(key, 1, "ad-001", "c", BUCKET_SECOND, 29455384));
    check_key("{1}:m:a:c.crawler:490923", key,
              bucket_key(key, 1, "a", "c.crawler", BUCKET_MINUTE, 490923));
    check_key("{1}:q:a:i:20455", key, bucket_key(key, 1, "a", "i", BUCKET_QUARTER, 20455));
    check_key("{1}:d:a:i", key, bucket_key(key, 1, "a", "i", BUCKET_DAY, 99));
    check_key("{1}:l:a:20455", key, bucket_key_last(key, 1, "a", 20455));
    check_key("{1}:um:a:7", key, bucket_key_visitors(key, 1, "a", BUCKET_VISITORS_MINUTE, 7));
    check_key("{1}:uh:a:8", key, bucket_key_visitors(key, 1, "a", BUCKET_VISITORS_HOUR, 8));
    check_key("{1}:ud:a:9", key, bucket_key_visitors(key, 1, "a", BUCKET_VISITORS_DAY, 9));
    check_key("{1}:u:a", key, bucket_key_visitor_sum(key, 1, "a"));
}

TEST(the_longest_key_fits)
{
    const char *ad_id = "0123456789012345678901234567890123456789012345678901234567890123";
    char series[SERIES_MAX];
    char key[BUCKET_KEY_MAX];

    (void)series_format(EVENT_CLICK, EVENT_DOUBLE_CLICK, series);
    assert_in_range(bucket_key(key, UINT32_MAX, ad_id, series, BUCKET_SECOND, INT64_MIN), 1,
                    BUCKET_KEY_MAX - 1);
}

TEST(a_second_is_counted_in_its_second_minute_quarter_and_day)
{
    static const struct {
        int64_t at_s;
        enum bucket_size size;
        int64_t block, field;
    } rows[] = {
        {0, BUCKET_SECOND, 0, 0},
        {119, BUCKET_SECOND, 1, 59},
        {1767323045, BUCKET_SECOND, 29455384, 5}, /* 2026-01-02T03:04:05Z */
        {1767323045, BUCKET_MINUTE, 490923, 4},
        {1767323045, BUCKET_QUARTER, 20455, 12},
        {1767323045, BUCKET_DAY, 0, 20455},
        {86399, BUCKET_QUARTER, 0, 95},
        {86400, BUCKET_QUARTER, 1, 0},
        {86399, BUCKET_DAY, 0, 0},
        {3599, BUCKET_MINUTE, 0, 59},
        {-1, BUCKET_SECOND, -1, 59},
        {-1, BUCKET_DAY, 0, -1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t block = 0;
        int64_t field = 0;

        bucket_place(rows[i].size, rows[i].at_s, &block, &field);
        assert_int_equal(block, rows[i].block);
        assert_int_equal(field, rows[i].field);
    }
}

TEST(buckets_are_kept_as_long_as_the_contract_says)
{
    assert_int_equal(bucket_kept_s(BUCKET_SECOND), 20 * 60);
    assert_int_equal(bucket_kept_s(BUCKET_MINUTE), 3 * 3600);
    assert_int_equal(bucket_kept_s(BUCKET_QUARTER), 9 * 86400);
    assert_int_equal(bucket_kept_s(BUCKET_DAY), 9 * 86400);
    assert_int_equal(bucket_visitors_kept_s(BUCKET_VISITORS_MINUTE), 65 * 60);
    assert_int_equal(bucket_visitors_kept_s(BUCKET_VISITORS_HOUR), 26 * 3600);
    assert_int_equal(bucket_visitors_kept_s(BUCKET_VISITORS_DAY), 9 * 86400);
    assert_int_equal(bucket_visitors_unit_s(BUCKET_VISITORS_MINUTE), 60);
    assert_int_equal(bucket_visitors_unit_s(BUCKET_VISITORS_HOUR), 3600);
    assert_int_equal(bucket_visitors_unit_s(BUCKET_VISITORS_DAY), 86400);
}

TESTS(RUN(a_series_is_the_types_letter_with_the_reason_behind_a_dot),
      RUN(every_series_is_read_back), RUN(what_is_no_series_is_refused),
      RUN(keys_have_the_shapes_of_the_contract), RUN(the_longest_key_fits),
      RUN(a_second_is_counted_in_its_second_minute_quarter_and_day),
      RUN(buckets_are_kept_as_long_as_the_contract_says))
