#include "check.h"

#include "replay_window.h"

enum { QUEUED_MS = 75 };

/* A server that takes one message after another: what is under way waits for its turn. */
static int64_t answer_all(struct replay_window *window, int64_t now_ms, int64_t each_ms)
{
    size_t size = window->size;

    for (size_t i = 1; i <= size; i++)
        replay_window_answered(window, now_ms, now_ms + (int64_t)i * each_ms, true);
    return now_ms + (int64_t)size * each_ms;
}

static int64_t answer_windows(struct replay_window *window, int count, int64_t now_ms,
                              int64_t each_ms)
{
    for (int i = 0; i < count; i++)
        now_ms = answer_all(window, now_ms, each_ms);
    return now_ms;
}

TEST(it_doubles_with_each_window_while_answers_come_at_once)
{
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    assert_int_equal(window.size, REPLAY_WINDOW_FIRST);
    (void)answer_all(&window, 0, 0);
    assert_int_equal(window.size, 2 * REPLAY_WINDOW_FIRST);
    (void)answer_windows(&window, 20, 0, 0);
    assert_int_equal(window.size, REPLAY_WINDOW_MAX);
}

TEST(a_slow_server_has_as_many_under_way_as_it_answers_in_time)
{
    enum { EACH_MS = 10 };
    struct replay_window window;
    int64_t now_ms;

    replay_window_init(&window, QUEUED_MS);
    now_ms = answer_windows(&window, 20, 0, EACH_MS);
    for (int i = 0; i < 100; i++) {
        now_ms = answer_all(&window, now_ms, EACH_MS);
        assert_in_range(window.size, 3, 2 + QUEUED_MS / EACH_MS);
    }
}

TEST(a_server_slower_than_the_limit_has_one_at_a_time)
{
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    (void)answer_windows(&window, 10, 0, 2 * QUEUED_MS);
    assert_in_range(window.size, 1, 2);
}

TEST(a_window_that_took_too_long_halves_it_once)
{
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    (void)answer_windows(&window, 20, 0, 0);
    for (int i = 0; i < REPLAY_WINDOW_MAX; i++)
        replay_window_answered(&window, 0, QUEUED_MS + 1, true);
    assert_int_equal(window.size, REPLAY_WINDOW_MAX / 2);
}

TEST(after_a_cut_it_grows_by_one_a_window)
{
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    (void)answer_windows(&window, 20, 0, 0);
    replay_window_answered(&window, 0, QUEUED_MS + 1, true);
    (void)answer_all(&window, 1000, 0);
    assert_int_equal(window.size, REPLAY_WINDOW_MAX / 2 + 1);
}

TEST(the_way_there_is_no_queue)
{
    enum { WAY_MS = 3 * QUEUED_MS };
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    for (int i = 0; i < 200; i++)
        replay_window_answered(&window, i, i + WAY_MS, true);
    assert_int_equal(window.size, REPLAY_WINDOW_MAX);
}

TEST(a_way_that_has_become_longer_is_learned)
{
    enum { WAY_MS = 3 * QUEUED_MS };
    struct replay_window window;
    int64_t now_ms = 2;

    replay_window_init(&window, QUEUED_MS);
    replay_window_answered(&window, 1, now_ms, true);
    for (; now_ms < 2 * REPLAY_BASE_MS; now_ms += WAY_MS)
        replay_window_answered(&window, now_ms - WAY_MS, now_ms, true);
    assert_int_equal(window.size, 1);
    for (int i = 0; i < 100; i++, now_ms += WAY_MS)
        replay_window_answered(&window, now_ms - WAY_MS, now_ms, true);
    assert_true(window.size > REPLAY_WINDOW_FIRST);
}

TEST(it_does_not_grow_by_answers_that_it_did_not_hold_back)
{
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    for (int i = 0; i < 100; i++)
        replay_window_answered(&window, i, i, false);
    assert_int_equal(window.size, REPLAY_WINDOW_FIRST);
}

TEST(silence_leaves_one_and_half_is_reached_fast_again)
{
    struct replay_window window;

    replay_window_init(&window, QUEUED_MS);
    (void)answer_windows(&window, 20, 0, 0);
    replay_window_silent(&window);
    replay_window_silent(&window);
    assert_int_equal(window.size, 1);
    (void)answer_windows(&window, 5, 1000, 0);
    assert_int_equal(window.size, REPLAY_WINDOW_MAX / 2);
    (void)answer_all(&window, 1000, 0);
    assert_int_equal(window.size, REPLAY_WINDOW_MAX / 2 + 1);
}

TESTS(RUN(it_doubles_with_each_window_while_answers_come_at_once),
      RUN(a_slow_server_has_as_many_under_way_as_it_answers_in_time),
      RUN(a_server_slower_than_the_limit_has_one_at_a_time),
      RUN(a_window_that_took_too_long_halves_it_once), RUN(after_a_cut_it_grows_by_one_a_window),
      RUN(the_way_there_is_no_queue), RUN(a_way_that_has_become_longer_is_learned),
      RUN(it_does_not_grow_by_answers_that_it_did_not_hold_back),
      RUN(silence_leaves_one_and_half_is_reached_fast_again))
