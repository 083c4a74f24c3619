#include "check.h"

#include "runtime/clock.h"
#include "turns.h"

#include <stdatomic.h>

enum { AWAIT_MS = 10000 };

/* A thread of the replayer's side, that takes one turn. */
struct other {
    struct turns turns;
    pthread_t thread;
    atomic_bool may_end, has_begun;
};

static void *take_one(void *ctx)
{
    struct other *other = ctx;

    turns_take(&other->turns, TURN_REPLAYER);
    atomic_store(&other->has_begun, true);
    while (!atomic_load(&other->may_end))
        clock_sleep_ms(1);
    turns_end(&other->turns);
    return NULL;
}

static void start(struct other *other)
{
    assert_int_equal(pthread_create(&other->thread, NULL, take_one, other), 0);
}

static void end(struct other *other)
{
    atomic_store(&other->may_end, true);
    pthread_join(other->thread, NULL);
}

static bool is_wanted(struct other *other)
{
    bool is_wanted;

    pthread_mutex_lock(&other->turns.lock);
    is_wanted = other->turns.is_wanted[TURN_REPLAYER];
    pthread_mutex_unlock(&other->turns.lock);
    return is_wanted;
}

static bool has_begun(struct other *other)
{
    return atomic_load(&other->has_begun);
}

static void await(struct other *other, bool (*is_so)(struct other *))
{
    int64_t deadline_ms = clock_now_ms() + AWAIT_MS;

    while (!is_so(other)) {
        assert_true(clock_now_ms() < deadline_ms);
        clock_sleep_ms(1);
    }
}

TEST(one_side_has_turn_after_turn_while_nobody_else_waits)
{
    struct turns turns;

    turns_init(&turns);
    for (int i = 0; i < 3; i++) {
        assert_true(turns_take_within(&turns, TURN_WRITER, 0));
        turns_end(&turns);
    }
    turns_free(&turns);
}

TEST(the_side_that_waits_is_next_however_soon_the_other_asks_again)
{
    struct other other = {0};

    turns_init(&other.turns);
    turns_take(&other.turns, TURN_WRITER);
    start(&other);
    await(&other, is_wanted);
    turns_end(&other.turns);

    assert_false(turns_take_within(&other.turns, TURN_WRITER, 0)); /* the other may still sleep */
    end(&other);
    assert_true(has_begun(&other));
    assert_true(turns_take_within(&other.turns, TURN_WRITER, 0));
    turns_end(&other.turns);
    turns_free(&other.turns);
}

TEST(a_turn_is_waited_for_until_its_time_is_up)
{
    enum { WAIT_MS = 30 };
    struct other other = {0};
    int64_t began_ms;

    turns_init(&other.turns);
    start(&other);
    await(&other, has_begun);
    began_ms = clock_now_ms();

    assert_false(turns_take_within(&other.turns, TURN_WRITER, WAIT_MS));
    assert_true(clock_now_ms() - began_ms >= WAIT_MS);
    end(&other);
    turns_free(&other.turns);
}

TESTS(RUN(one_side_has_turn_after_turn_while_nobody_else_waits),
      RUN(the_side_that_waits_is_next_however_soon_the_other_asks_again),
      RUN(a_turn_is_waited_for_until_its_time_is_up))
