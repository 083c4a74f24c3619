#include "check.h"

#include "base/auto.h"
#include "tally.h"

TEST(adds_to_the_value_of_a_key_through_growth)
{
    AUTO(tally_free) struct tally tally = {0};

    for (uint64_t round = 0; round < 3; round++)
        for (uint64_t i = 0; i < 5000; i++)
            *tally_at(&tally, i, i * i) += i;

    assert_int_equal(tally.count, 5000);
    assert_int_equal(*tally_at(&tally, 70, 4900), 210);
}

TEST(sorts_by_the_first_word_then_the_second)
{
    AUTO(tally_free) struct tally tally = {0};

    *tally_at(&tally, 2, 1) = 30;
    *tally_at(&tally, 1, 9) = 20;
    *tally_at(&tally, 1, 2) = 10;
    tally_sort(&tally);

    for (size_t i = 0; i < tally.count; i++)
        assert_int_equal(tally.items[i].value, 10 * (i + 1));
}

TEST(is_empty_and_usable_after_a_reset)
{
    AUTO(tally_free) struct tally tally = {0};

    tally_reset(&tally);
    *tally_at(&tally, 1, 1) = 5;
    tally_sort(&tally);
    tally_reset(&tally);

    assert_int_equal(tally.count, 0);
    assert_int_equal(*tally_at(&tally, 1, 1), 0);
}

TESTS(RUN(adds_to_the_value_of_a_key_through_growth), RUN(sorts_by_the_first_word_then_the_second),
      RUN(is_empty_and_usable_after_a_reset))
