#include "check.h"

#include "trim.h"

enum { WINDOW_MS = 64000 };

TEST(nothing_goes_inside_the_window)
{
    struct trim trim;
    uint64_t below = 0;

    trim_init(&trim, WINDOW_MS);
    trim_sample(&trim, 100, 0);

    assert_false(trim_take(&trim, WINDOW_MS, &below));
    assert_true(trim_take(&trim, WINDOW_MS + 1, &below));
    assert_int_equal(below, 101);
    assert_false(trim_take(&trim, WINDOW_MS + 1, &below));
}

TEST(takes_the_newest_of_the_samples_that_are_old_enough)
{
    struct trim trim;
    uint64_t below = 0;

    trim_init(&trim, WINDOW_MS);
    for (int i = 0; i < 10; i++)
        trim_sample(&trim, (uint64_t)i, INT64_C(1000) * i);

    assert_true(trim_take(&trim, WINDOW_MS + 5001, &below));
    assert_int_equal(below, 6);
}

TEST(samples_too_often_or_for_too_long_lose_nothing_old)
{
    struct trim trim;
    uint64_t below = 0;

    trim_init(&trim, WINDOW_MS);
    for (int i = 0; i < 1000000; i += 100)
        trim_sample(&trim, (uint64_t)i + 1, i);

    assert_int_equal(trim.count, TRIM_SAMPLES_MAX);
    assert_true(trim_take(&trim, 1000000, &below));
    assert_int_equal(trim.count, 0);
    assert_int_equal(below, 63002);
}

TEST(a_store_that_went_back_keeps_the_messages_that_it_needs_again)
{
    struct trim trim;
    uint64_t below = 0;

    trim_init(&trim, WINDOW_MS);
    trim_sample(&trim, 100, 0);
    trim_sample(&trim, 40, 10); /* sooner than a sample is due */

    assert_false(trim_take(&trim, WINDOW_MS + 5, &below)); /* the first sample is gone */
    assert_true(trim_take(&trim, WINDOW_MS + 11, &below));
    assert_int_equal(below, 41);
}

TESTS(RUN(nothing_goes_inside_the_window), RUN(takes_the_newest_of_the_samples_that_are_old_enough),
      RUN(samples_too_often_or_for_too_long_lose_nothing_old),
      RUN(a_store_that_went_back_keeps_the_messages_that_it_needs_again))
