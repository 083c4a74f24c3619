#include "check.h"

#include "base/backoff.h"

enum { TRIES = 10000 };

TEST(the_nth_wait_stays_below_the_doubled_base_and_the_cap)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct backoff backoff;
        int64_t top_ms = 50;

        backoff_init(&backoff, 50, 1000, seed);
        for (int i = 0; i < 100; i++) {
            int64_t wait_ms = backoff_next_ms(&backoff);

            assert_in_range(wait_ms, 25, top_ms);
            top_ms = top_ms * 2 > 1000 ? 1000 : top_ms * 2;
        }
    }
}

TEST(waits_spread_over_the_whole_range)
{
    struct backoff backoff;
    int64_t least_ms = INT64_MAX;
    int64_t most_ms = 0;

    backoff_init(&backoff, 50, 1000, 7);
    for (int i = 0; i < TRIES; i++) {
        int64_t wait_ms = backoff_next_ms(&backoff);

        least_ms = wait_ms < least_ms ? wait_ms : least_ms;
        most_ms = wait_ms > most_ms ? wait_ms : most_ms;
    }
    assert_in_range(least_ms, 25, 35);
    assert_in_range(most_ms, 990, 1000);
}

TEST(a_success_begins_at_the_base_again)
{
    struct backoff backoff;

    backoff_init(&backoff, 50, 1000, 3);
    for (int i = 0; i < 20; i++)
        (void)backoff_next_ms(&backoff);
    backoff_reset(&backoff);
    assert_in_range(backoff_next_ms(&backoff), 25, 50);
}

TEST(two_seeds_wait_differently)
{
    struct backoff one;
    struct backoff other;
    int same = 0;

    backoff_init(&one, 1000, 60000, 1);
    backoff_init(&other, 1000, 60000, 2);
    for (int i = 0; i < 100; i++)
        same += backoff_next_ms(&one) == backoff_next_ms(&other);
    assert_true(same < 10);
}

TEST(a_random_number_is_between_its_bounds_both_included)
{
    struct random random = {42};
    int seen[3] = {0};

    for (int i = 0; i < TRIES; i++)
        seen[random_between(&random, -1, 1) + 1]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(seen[i], TRIES / 4, TRIES / 2);
    assert_int_equal(random_between(&random, 5, 5), 5);
    (void)random_between(&random, INT64_MIN, INT64_MAX);
}

TESTS(RUN(the_nth_wait_stays_below_the_doubled_base_and_the_cap),
      RUN(waits_spread_over_the_whole_range), RUN(a_success_begins_at_the_base_again),
      RUN(two_seeds_wait_differently), RUN(a_random_number_is_between_its_bounds_both_included))
