/*
 * Windows against a reference that knows no spans: it asks of every bucket whether it begins
 * inside the window. A span's field stands for its bucket's first second.
 */
#include "check.h"

#include "event/buckets.h"

#include <stdlib.h>

enum { ROUNDS = 3000, FIRSTS_MAX = 8 * 1000 };

static const int64_t epoch_s = 1767323045; /* 2026-01-02T03:04:05Z */
static const int64_t day_s = 86400;

/* splitmix64: every run sees the same numbers. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int64_t random_below(uint64_t *state, int64_t limit)
{
    return (int64_t)(next_random(state) % (uint64_t)limit);
}

static int64_t bucket_s_of(int64_t window_s)
{
    return window_s <= 900 ? 1 : window_s <= 3600 ? 60 : 900;
}

/* The seconds at which the finest buckets of the spans begin, days taken apart into quarters. */
static size_t expand(const struct bucket_span *spans, size_t count, int64_t *out)
{
    static const int64_t block_s[] = {60, 3600, 86400, 86400};
    static const int64_t field_s[] = {1, 60, 900, 86400};
    size_t firsts = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t step = spans[i].size == BUCKET_DAY ? 900 : field_s[spans[i].size];
        int64_t block = spans[i].block * block_s[spans[i].size];
        int64_t end = block + (spans[i].last + 1) * field_s[spans[i].size];

        assert_true(spans[i].first >= 0 && spans[i].first <= spans[i].last);
        for (int64_t at = block + spans[i].first * field_s[spans[i].size]; at < end; at += step) {
            assert_true(firsts < FIRSTS_MAX);
            out[firsts++] = at;
        }
    }
    return firsts;
}

/* Every multiple of bucket_s in end-window+1 .. end, by trying each second's bucket. */
static size_t reference(int64_t end_s, int64_t window_s, int64_t *out)
{
    int64_t bucket_s = bucket_s_of(window_s);
    int64_t at = end_s - window_s + 1;
    size_t firsts = 0;

    while (at <= end_s && ((at % bucket_s) + bucket_s) % bucket_s != 0)
        at++;
    for (; at <= end_s; at += bucket_s)
        out[firsts++] = at;
    return firsts;
}

static void check_window(int64_t end_s, int64_t window_s)
{
    static int64_t got[FIRSTS_MAX];
    static int64_t expected[FIRSTS_MAX];
    struct bucket_span spans[BUCKET_SPANS_MAX];
    size_t count = bucket_window(end_s, window_s, spans);
    size_t got_count = expand(spans, count, got);
    size_t expected_count = reference(end_s, window_s, expected);

    if (got_count != expected_count)
        fail_msg("end %lld window %lld: %zu buckets instead of %zu", (long long)end_s,
                 (long long)window_s, got_count, expected_count);
    for (size_t i = 0; i < got_count; i++) {
        if (got[i] != expected[i])
            fail_msg("end %lld window %lld: bucket %zu begins at %lld instead of %lld",
                     (long long)end_s, (long long)window_s, i, (long long)got[i],
                     (long long)expected[i]);
    }
}

TEST(every_window_of_seconds_is_exact_at_both_edges)
{
    uint64_t seed = 1;

    for (int64_t window_s = 1; window_s <= 900; window_s++)
        check_window(epoch_s + random_below(&seed, 7 * day_s), window_s);
}

TEST(random_windows_equal_the_reference)
{
    uint64_t seed = 2;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t limit = i % 3 == 0 ? 900 : i % 3 == 1 ? 3600 : 8 * day_s;

        check_window(epoch_s + random_below(&seed, 30 * day_s), 1 + random_below(&seed, limit));
    }
}

TEST(windows_at_the_borders_of_minutes_hours_and_days_equal_the_reference)
{
    static const int64_t windows[] = {1,      59,     60,     61,     300,    899,   900,
                                      901,    3599,   3600,   3601,   86399,  86400, 86401,
                                      172800, 604799, 604800, 604801, 604740, 604800};
    const int64_t midnight_s = epoch_s / day_s * day_s;

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        for (int64_t shift = -2; shift <= 2; shift++) {
            check_window(midnight_s + shift, windows[i]);
            check_window(midnight_s + 3600 + shift, windows[i]);
            check_window(midnight_s + 900 + shift, windows[i]);
            check_window(midnight_s + 60 + shift, windows[i]);
        }
    }
}

TEST(windows_that_reach_before_1970_equal_the_reference)
{
    for (int64_t end_s = -3; end_s <= 3; end_s++) {
        check_window(end_s, 1);
        check_window(end_s, 60);
        check_window(end_s, 3600);
        check_window(end_s, 604800);
    }
}

TEST(an_empty_window_has_no_spans)
{
    struct bucket_span spans[BUCKET_SPANS_MAX];
    struct bucket_visitors_span visitors;

    assert_int_equal(bucket_window(epoch_s, 0, spans), 0);
    assert_int_equal(bucket_window(epoch_s, -5, spans), 0);
    assert_false(bucket_visitors_window(epoch_s, 0, &visitors));
}

TEST(whole_days_are_read_as_days)
{
    struct bucket_span spans[BUCKET_SPANS_MAX];

    /* 2026-01-02T03:04:05Z, 7 days: quarters of the first and the last day, six days between. */
    assert_int_equal(bucket_window(epoch_s, 604800, spans), 3);
    assert_int_equal(spans[0].size, BUCKET_QUARTER);
    assert_int_equal(spans[0].block, 20448);
    assert_int_equal(spans[0].first, 13);
    assert_int_equal(spans[0].last, 95);
    assert_int_equal(spans[1].size, BUCKET_DAY);
    assert_int_equal(spans[1].block + spans[1].first, 20449);
    assert_int_equal(spans[1].block + spans[1].last, 20454);
    assert_int_equal(spans[2].size, BUCKET_QUARTER);
    assert_int_equal(spans[2].block, 20455);
    assert_int_equal(spans[2].first, 0);
    assert_int_equal(spans[2].last, 12);
}

/* Every bucket of a window that the API offers is still kept at the window's end. */
TEST(no_window_asks_for_what_has_expired)
{
    static const int64_t block_s[] = {60, 3600, 86400, 86400};
    uint64_t seed = 3;

    for (int i = 0; i < ROUNDS; i++) {
        struct bucket_span spans[BUCKET_SPANS_MAX];
        int64_t end_s = epoch_s + random_below(&seed, 30 * day_s);
        int64_t window_s =
            i % 2 == 0 ? 60 * (1 + random_below(&seed, 10080)) : 1 + random_below(&seed, 3600);
        size_t count = bucket_window(end_s, window_s, spans);

        for (size_t k = 0; k < count; k++) {
            int64_t last =
                spans[k].size == BUCKET_DAY ? spans[k].block + spans[k].first : spans[k].block;
            int64_t block_end_s = (last + 1) * block_s[spans[k].size];

            assert_true(block_end_s + bucket_kept_s(spans[k].size) > end_s);
        }
    }
}

TEST(visitors_of_a_window_are_those_of_every_unit_it_touches)
{
    static const struct {
        int64_t end_s, window_s;
        enum bucket_visitors_unit unit;
        int64_t first, last;
    } rows[] = {
        {119, 60, BUCKET_VISITORS_MINUTE, 1, 1},     {120, 60, BUCKET_VISITORS_MINUTE, 1, 2},
        {3599, 3600, BUCKET_VISITORS_MINUTE, 0, 59}, {3600, 3600, BUCKET_VISITORS_MINUTE, 0, 60},
        {7199, 3601, BUCKET_VISITORS_HOUR, 0, 1},    {86399, 86400, BUCKET_VISITORS_HOUR, 0, 23},
        {86400, 86400, BUCKET_VISITORS_HOUR, 0, 24}, {86400, 86401, BUCKET_VISITORS_DAY, 0, 1},
        {604799, 604800, BUCKET_VISITORS_DAY, 0, 6}, {604800, 604800, BUCKET_VISITORS_DAY, 0, 7},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bucket_visitors_span span;

        assert_true(bucket_visitors_window(rows[i].end_s, rows[i].window_s, &span));
        assert_int_equal(span.unit, rows[i].unit);
        assert_int_equal(span.first, rows[i].first);
        assert_int_equal(span.last, rows[i].last);
    }
}

TESTS(RUN(every_window_of_seconds_is_exact_at_both_edges), RUN(random_windows_equal_the_reference),
      RUN(windows_at_the_borders_of_minutes_hours_and_days_equal_the_reference),
      RUN(windows_that_reach_before_1970_equal_the_reference), RUN(an_empty_window_has_no_spans),
      RUN(whole_days_are_read_as_days), RUN(no_window_asks_for_what_has_expired),
      RUN(visitors_of_a_window_are_those_of_every_unit_it_touches))
