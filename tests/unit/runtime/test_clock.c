#include "check.h"

#include "runtime/clock.h"

#include <time.h>

TEST(monotonic_time_never_runs_backwards)
{
    int64_t last_us = clock_now_us();

    for (int i = 0; i < 10000; i++) {
        int64_t now_us = clock_now_us();

        assert_true(now_us >= last_us);
        last_us = now_us;
    }
    assert_in_range(clock_now_ms() - last_us / 1000, 0, 1000);
}

TEST(unix_time_is_the_systems)
{
    int64_t before_ms = (int64_t)time(NULL) * 1000;

    assert_in_range(clock_at_ms() - before_ms, 0, 2000);
}

TEST(a_sleep_lasts_at_least_as_long_as_asked)
{
    int64_t before_us = clock_now_us();

    clock_sleep_ms(5);
    assert_true(clock_now_us() - before_us >= 5000);
    clock_sleep_ms(0);
    clock_sleep_ms(-1);
}

TESTS(RUN(monotonic_time_never_runs_backwards), RUN(unix_time_is_the_systems),
      RUN(a_sleep_lasts_at_least_as_long_as_asked))
