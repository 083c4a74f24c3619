#include "check.h"

#include "base/told.h"

TEST(a_failure_is_news_once)
{
    struct told told = {0};

    (void)error_set(err, ERROR_UNAVAILABLE, "the disk is full");

    assert_true(told_is_news(&told, err));
    assert_false(told_is_news(&told, err));
}

TEST(another_failure_is_news_and_so_is_the_first_one_after_it)
{
    struct told told = {0};
    struct error other;

    (void)error_set(err, ERROR_UNAVAILABLE, "the disk is full");
    (void)error_set(&other, ERROR_UNAVAILABLE, "the disk is gone");

    assert_true(told_is_news(&told, err));
    assert_true(told_is_news(&told, &other));
    assert_true(told_is_news(&told, err));
}

TEST(texts_that_differ_only_at_their_end_are_two)
{
    struct told told = {0};
    struct error other;

    (void)error_set(err, ERROR_INVALID, "%0*d", (int)sizeof(err->text) - 1, 1);
    (void)error_set(&other, ERROR_INVALID, "%0*d", (int)sizeof(err->text) - 1, 2);

    assert_true(told_is_news(&told, err));
    assert_true(told_is_news(&told, &other));
}

TEST(after_a_success_the_same_failure_is_news_again)
{
    struct told told = {0};

    (void)error_set(err, ERROR_UNAVAILABLE, "the disk is full");
    assert_true(told_is_news(&told, err));
    told_reset(&told);

    assert_true(told_is_news(&told, err));
}

TESTS(RUN(a_failure_is_news_once), RUN(another_failure_is_news_and_so_is_the_first_one_after_it),
      RUN(texts_that_differ_only_at_their_end_are_two),
      RUN(after_a_success_the_same_failure_is_news_again))
