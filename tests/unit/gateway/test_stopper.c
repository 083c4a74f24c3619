#include "check.h"

#include "stopper.h"

#include <stdint.h>

enum { LONG_MS = 60000 };

TEST(a_wait_ends_by_itself_and_the_thread_goes_on)
{
    struct stopper stopper;

    stopper_init(&stopper);
    assert_true(stopper_wait(&stopper, 1));
    stopper_free(&stopper);
}

TEST(a_wake_before_the_wait_is_not_lost_and_counts_once)
{
    struct stopper stopper;

    stopper_init(&stopper);
    stopper_wake(&stopper);
    stopper_wake(&stopper);
    assert_true(stopper_wait(&stopper, LONG_MS));
    assert_true(stopper_wait(&stopper, 1)); /* by its time: the wakes are used up */
    stopper_free(&stopper);
}

TEST(a_stop_ends_every_later_wait_at_once)
{
    struct stopper stopper;

    stopper_init(&stopper);
    stopper_stop(&stopper);
    assert_false(stopper_wait(&stopper, LONG_MS));
    assert_false(stopper_wait(&stopper, LONG_MS));
    stopper_free(&stopper);
}

static void *on_thread(void *ctx)
{
    stopper_stop(ctx);
    return NULL;
}

TEST(another_thread_stops_a_wait_that_is_under_way)
{
    struct stopper stopper;
    pthread_t thread;

    stopper_init(&stopper);
    assert_int_equal(pthread_create(&thread, NULL, on_thread, &stopper), 0);
    assert_false(stopper_wait(&stopper, LONG_MS));
    pthread_join(thread, NULL);
    stopper_free(&stopper);
}

TESTS(RUN(a_wait_ends_by_itself_and_the_thread_goes_on),
      RUN(a_wake_before_the_wait_is_not_lost_and_counts_once),
      RUN(a_stop_ends_every_later_wait_at_once), RUN(another_thread_stops_a_wait_that_is_under_way))
