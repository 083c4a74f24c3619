#include "check.h"

#include "query_spec.h"

#include <string.h>

static bool parse(const char *text, struct query_spec *out, struct faults *faults)
{
    *faults = (struct faults){0};
    return query_spec_parse(text, strlen(text), out, faults);
}

TEST(nothing_given_is_all_time_of_all_ads_in_utc)
{
    struct query_spec spec;
    struct faults faults;

    assert_true(parse("", &spec, &faults));

    assert_string_equal(spec.ad_id, "");
    assert_string_equal(spec.frame, "all");
    assert_string_equal(spec.zone, "UTC");
    assert_int_equal(spec.window_s, 0);
    assert_int_equal(spec.limit, 100);
    assert_false(spec.cursor.is_set);
}

TEST(every_parameter_is_read)
{
    struct query_spec spec;
    struct faults faults;

    assert_true(parse("adId=ad-1&minutes=10&timezone=Asia%2FKolkata&limit=7&cursor=12.ad_9"
                      "&format=map&unknown=1",
                      &spec, &faults));

    assert_string_equal(spec.ad_id, "ad-1");
    assert_true(spec.is_camel_id);
    assert_string_equal(spec.frame, "10m");
    assert_int_equal(spec.window_s, 600);
    assert_string_equal(spec.zone, "Asia/Kolkata");
    assert_int_equal(spec.limit, 7);
    assert_int_equal(spec.cursor.clicks, 12);
    assert_string_equal(spec.cursor.id, "ad_9");
    assert_true(spec.is_map);
}

TEST(each_timeframe_is_its_seconds)
{
    static const struct {
        const char *text;
        int64_t window_s;
    } rows[] = {{"timeframe=1m", 60},   {"timeframe=5m", 300},    {"timeframe=15m", 900},
                {"timeframe=1h", 3600}, {"timeframe=24h", 86400}, {"timeframe=7d", 604800},
                {"timeframe=all", 0},   {"minutes=1", 60},        {"minutes=10080", 604800}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct query_spec spec;
        struct faults faults;

        assert_true(parse(rows[i].text, &spec, &faults));
        assert_int_equal(spec.window_s, rows[i].window_s);
    }
}

TEST(what_is_wrong_is_a_fault_of_status_400)
{
    static const struct {
        const char *text;
        enum fault_code code;
    } rows[] = {
        {"timeframe=2h", FAULT_INVALID_PARAMETER},
        {"timeframe=", FAULT_INVALID_PARAMETER},
        {"minutes=0", FAULT_INVALID_PARAMETER},
        {"minutes=-1", FAULT_INVALID_PARAMETER},
        {"minutes=1e3", FAULT_INVALID_PARAMETER},
        {"minutes=", FAULT_INVALID_PARAMETER},
        {"minutes=10081", FAULT_INVALID_PARAMETER},
        {"minutes=99999999999999999999", FAULT_INVALID_PARAMETER},
        {"minutes=5&timeframe=1h", FAULT_CONFLICTING_PARAMETERS},
        {"ad_id=a&adId=b", FAULT_CONFLICTING_PARAMETERS},
        {"ad_id=", FAULT_INVALID_PARAMETER},
        {"ad_id=a*b", FAULT_INVALID_PARAMETER},
        {"ad_id=%zz", FAULT_INVALID_PARAMETER},
        {"ad_id=a&ad_id=a", FAULT_INVALID_PARAMETER},
        {"timezone=../UTC", FAULT_INVALID_PARAMETER},
        {"timezone=", FAULT_INVALID_PARAMETER},
        {"limit=0", FAULT_INVALID_PARAMETER},
        {"limit=1001", FAULT_INVALID_PARAMETER},
        {"cursor=x", FAULT_INVALID_PARAMETER},
        {"cursor=1.", FAULT_INVALID_PARAMETER},
        {"cursor=9999999999999999999.a", FAULT_INVALID_PARAMETER},
        {"format=xml", FAULT_INVALID_PARAMETER},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct query_spec spec;
        struct faults faults;

        if (parse(rows[i].text, &spec, &faults))
            fail_msg("%s was taken", rows[i].text);
        assert_true(faults.count > 0);
        assert_int_equal(faults.rows[0].code, rows[i].code);
        assert_int_equal(fault_status(faults.rows[0].code), 400);
    }
}

TEST(both_spellings_of_one_id_are_fine)
{
    struct query_spec spec;
    struct faults faults;

    assert_true(parse("ad_id=a&adId=a", &spec, &faults));
    assert_false(spec.is_camel_id);
}

TEST(what_dashboards_and_the_earlier_clients_ask_for_is_usual)
{
    static const struct {
        const char *text;
        bool is_usual;
    } rows[] = {
        {"", true},
        {"timeframe=24h", true},
        {"minutes=10", true},
        {"minutes=11", false},
        {"minutes=1440", false},
        {"timeframe=24h&timezone=Europe%2FBerlin", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct query_spec spec;
        struct faults faults;

        assert_true(parse(rows[i].text, &spec, &faults));
        assert_int_equal(rows[i].is_usual, query_spec_is_usual(&spec));
    }
}

TESTS(RUN(nothing_given_is_all_time_of_all_ads_in_utc), RUN(every_parameter_is_read),
      RUN(each_timeframe_is_its_seconds), RUN(what_is_wrong_is_a_fault_of_status_400),
      RUN(both_spellings_of_one_id_are_fine),
      RUN(what_dashboards_and_the_earlier_clients_ask_for_is_usual))
