#include "check.h"

#include "http/query_string.h"
#include <string.h>

static const char *const names[] = {"ad_id", "minutes", "timezone", NULL};

static bool parse(struct query_string *query, const char *text, struct faults *faults)
{
    memset(faults, 0, sizeof(*faults));
    return query_string_parse(query, names, text, strlen(text), faults);
}

TEST(finds_decoded_values_by_name)
{
    static const struct {
        const char *text, *ad_id, *timezone;
    } rows[] = {
        {"", NULL, NULL},
        {"ad_id=ad-001", "ad-001", NULL},
        {"ad_id=a&timezone=Asia%2FKolkata", "a", "Asia/Kolkata"},
        {"timezone=a+b", NULL, "a b"},
        {"ad_id=", "", NULL},
        {"ad_id", "", NULL},
        {"&&ad_id=x&", "x", NULL},
        {"ad_id=a=b", "a=b", NULL},
        {"unknown=%zz&ad_id=a", "a", NULL},
        {"ad_idx=1&xad_id=2", NULL, NULL},
        {"ad%5Fid=a", "a", NULL},
    };
    struct query_string query;
    struct faults faults;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(parse(&query, rows[i].text, &faults));
        if (rows[i].ad_id == NULL)
            assert_null(query_string_find(&query, "ad_id"));
        else
            assert_string_equal(rows[i].ad_id, query_string_find(&query, "ad_id"));
        if (rows[i].timezone == NULL)
            assert_null(query_string_find(&query, "timezone"));
        else
            assert_string_equal(rows[i].timezone, query_string_find(&query, "timezone"));
    }
}

TEST(refuses_what_is_ambiguous_or_broken)
{
    static const char *const rows[] = {
        "ad_id=a&ad_id=a", "ad_id=%",   "ad_id=%4",          "ad_id=%zz",
        "ad_id=%00",       "ad_id=a%0", "ad_id=a&ad%5Fid=b",
    };
    struct query_string query;
    struct faults faults;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(parse(&query, rows[i], &faults));
        assert_int_equal(1, faults.count);
        assert_int_equal(FAULT_INVALID_PARAMETER, faults.rows[0].code);
        assert_string_equal("ad_id", faults.rows[0].field);
    }
}

TEST(refuses_a_value_that_does_not_fit)
{
    struct query_string query;
    struct faults faults;
    char text[QUERY_VALUES_MAX + 100];

    memset(text, 'x', sizeof(text));
    memcpy(text, "ad_id=", 6);
    text[sizeof(text) - 1] = '\0';

    assert_false(parse(&query, text, &faults));
}

TEST(reads_whole_numbers_within_their_bounds)
{
    static const struct {
        const char *text;
        bool is_good;
        int64_t value;
    } rows[] = {
        {"minutes=1", true, 1},
        {"minutes=10080", true, 10080},
        {"minutes=0", false, 0},
        {"minutes=10081", false, 0},
        {"minutes=", false, 0},
        {"minutes=-", false, 0},
        {"minutes=1.5", false, 0},
        {"minutes=+5", false, 0},
        {"minutes= 5", false, 0},
        {"minutes=0x5", false, 0},
        {"minutes=99999999999999999999", false, 0},
        {"ad_id=1", true, 60},
    };
    struct query_string query;
    struct faults faults;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t minutes = 60;

        assert_true(parse(&query, rows[i].text, &faults));
        assert_int_equal(rows[i].is_good,
                         query_string_int(&query, "minutes", 1, 10080, &minutes, &faults));
        if (rows[i].is_good)
            assert_int_equal(rows[i].value, minutes);
        else
            assert_int_equal(FAULT_INVALID_PARAMETER, faults.rows[0].code);
    }
}

TEST(reads_instants_with_their_offset)
{
    static const struct {
        const char *text;
        bool is_good;
        int64_t value;
    } rows[] = {
        {"timezone=1970-01-01T00:00:01Z", true, 1000},
        {"timezone=1970-01-01T05:30:01%2B05:30", true, 1000},
        {"ad_id=1", true, 60},
        {"timezone=", false, 0},
        {"timezone=1", false, 0},
        {"timezone=1970-01-01", false, 0},
        {"timezone=1969-12-31T23:59:59Z", false, 0},
        {"timezone=1970-01-01T00:00:01Zx", false, 0},
    };
    struct query_string query;
    struct faults faults;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t at_ms = 60;

        assert_true(parse(&query, rows[i].text, &faults));
        assert_int_equal(rows[i].is_good,
                         query_string_instant(&query, "timezone", &at_ms, &faults));
        if (rows[i].is_good)
            assert_int_equal(rows[i].value, at_ms);
        else
            assert_int_equal(FAULT_INVALID_PARAMETER, faults.rows[0].code);
    }
}

TESTS(RUN(finds_decoded_values_by_name), RUN(refuses_what_is_ambiguous_or_broken),
      RUN(refuses_a_value_that_does_not_fit), RUN(reads_whole_numbers_within_their_bounds),
      RUN(reads_instants_with_their_offset))
