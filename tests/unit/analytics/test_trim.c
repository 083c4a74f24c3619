#include "check.h"

#include "trim.h"

enum { WINDOW_MS = 64000 };

static struct trim trim_of_window(void)
{
    struct trim trim;

    trim_init(&trim, WINDOW_MS);
    return trim;
}

TEST(nothing_goes_inside_the_window)
{
    struct trim trim = trim_of_window();

    trim_sample(&trim, 100, 0);

    assert_int_equal(trim_below(&trim, 100, WINDOW_MS), 1);
    assert_int_equal(trim_below(&trim, 100, WINDOW_MS + 1), 101);
}

TEST(nothing_goes_that_a_store_does_not_have)
{
    struct trim trim = trim_of_window();

    trim_sample(&trim, 100, 0);

    assert_int_equal(trim_below(&trim, 0, WINDOW_MS + 1), 1);
    assert_int_equal(trim_below(&trim, 60, WINDOW_MS + 1), 61);
}

TEST(what_is_old_goes_as_soon_as_the_stores_have_it)
{
    struct trim trim = trim_of_window();

    trim_sample(&trim, 100, 0);
    assert_int_equal(trim_below(&trim, 0, INT64_C(10) * WINDOW_MS), 1);
    assert_int_equal(trim_below(&trim, 100, INT64_C(10) * WINDOW_MS), 101);
}

TEST(takes_the_newest_of_the_samples_that_are_old_enough)
{
    struct trim trim = trim_of_window();

    for (int i = 0; i < 10; i++)
        trim_sample(&trim, (uint64_t)i, INT64_C(1000) * i);

    assert_int_equal(trim_below(&trim, 1000, WINDOW_MS + 5001), 6);
}

TEST(samples_too_often_are_left_out_and_the_old_ones_go_on_ageing)
{
    struct trim trim = trim_of_window();

    for (int i = 0; i < 1000000; i += 100)
        trim_sample(&trim, (uint64_t)i + 1, i);

    assert_true(trim.count <= TRIM_SAMPLES_MAX);
    assert_in_range(trim_below(&trim, 1000000, 1000000), 934001, 936001);
}

TEST(a_stream_made_anew_is_not_judged_by_the_numbers_of_the_old_one)
{
    struct trim trim = trim_of_window();

    trim_sample(&trim, 100, 0);
    trim_sample(&trim, 40, 10); /* sooner than a sample is due */
    assert_int_equal(trim_below(&trim, 100, WINDOW_MS + 10), 1);
    assert_int_equal(trim_below(&trim, 100, WINDOW_MS + 11), 41);

    trim_sample(&trim, 20, WINDOW_MS + 12); /* no sample is left, but what they told is known */
    assert_int_equal(trim_below(&trim, 100, WINDOW_MS + 12), 1);
}

TESTS(RUN(nothing_goes_inside_the_window), RUN(nothing_goes_that_a_store_does_not_have),
      RUN(what_is_old_goes_as_soon_as_the_stores_have_it),
      RUN(takes_the_newest_of_the_samples_that_are_old_enough),
      RUN(samples_too_often_are_left_out_and_the_old_ones_go_on_ageing),
      RUN(a_stream_made_anew_is_not_judged_by_the_numbers_of_the_old_one))
