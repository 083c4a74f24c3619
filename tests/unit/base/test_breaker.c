#include "check.h"

#include "base/breaker.h"

#include <string.h>

enum { START_MS = 1000000 };

/* A breaker with its clock, and what it told its owner. */
struct bench {
    struct breaker breaker;
    struct breaker_options options;
    int64_t now_ms;
    int changes;
    struct breaker_change last;
};

static void on_change(void *ctx, const struct breaker_change *change)
{
    struct bench *bench = ctx;

    bench->changes++;
    bench->last = *change;
}

static void closed(struct bench *bench)
{
    *bench = (struct bench){.options = breaker_default_options(), .now_ms = START_MS};
    breaker_init(&bench->breaker, &bench->options, 1, bench->now_ms, on_change, bench);
}

static struct breaker_permit permit_of(struct bench *bench)
{
    struct breaker_permit permit = {0};

    assert_true(breaker_allow(&bench->breaker, bench->now_ms, &permit));
    return permit;
}

/* One whole attempt that takes so long. */
static void attempt(struct bench *bench, enum breaker_result result, int64_t took_ms)
{
    struct breaker_permit permit = permit_of(bench);

    bench->now_ms += took_ms;
    breaker_report(&bench->breaker, &permit, result, bench->now_ms);
}

static void attempts(struct bench *bench, int count, enum breaker_result result, int64_t took_ms)
{
    for (int i = 0; i < count; i++)
        attempt(bench, result, took_ms);
}

static bool is_allowed(struct bench *bench)
{
    struct breaker_permit permit = {0};

    return breaker_allow(&bench->breaker, bench->now_ms, &permit);
}

static void opened(struct bench *bench)
{
    closed(bench);
    attempts(bench, 3, BREAKER_CONNECT_FAILURE, 1);
    assert_int_equal(bench->breaker.state, BREAKER_OPEN);
}

static void half_opened(struct bench *bench)
{
    opened(bench);
    bench->now_ms += bench->last.cooldown_ms;
    assert_int_equal(breaker_step(&bench->breaker, bench->now_ms), BREAKER_HALF_OPEN);
}

static void reclosed(struct bench *bench)
{
    half_opened(bench);
    attempts(bench, 3, BREAKER_SUCCESS, 1);
    assert_int_equal(bench->breaker.state, BREAKER_CLOSED);
}

TEST(is_closed_at_first_and_lets_everything_through)
{
    struct bench bench;

    closed(&bench);
    attempts(&bench, 1000, BREAKER_SUCCESS, 1);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.changes, 0);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 4000);
}

/* What one window of attempts leads to. */
static const struct {
    int successes, failures, slow, refusals; /* of our configuration */
    enum breaker_state state;
    enum breaker_reason reason;
} windows[] = {
    {0, 4, 0, 0, BREAKER_CLOSED, 0}, /* fewer than five say nothing */
    {0, 5, 0, 0, BREAKER_OPEN, BREAKER_REASON_FAILED},
    {5, 4, 0, 0, BREAKER_CLOSED, 0},
    {5, 5, 0, 0, BREAKER_OPEN, BREAKER_REASON_FAILED},
    {100, 99, 0, 0, BREAKER_CLOSED, 0},
    {100, 100, 0, 0, BREAKER_OPEN, BREAKER_REASON_FAILED},
    {0, 0, 4, 0, BREAKER_CLOSED, 0},
    {0, 0, 5, 0, BREAKER_OPEN, BREAKER_REASON_SLOW},
    {2, 0, 7, 0, BREAKER_CLOSED, 0},
    {2, 0, 8, 0, BREAKER_OPEN, BREAKER_REASON_SLOW},
    {1000, 0, 0, 1, BREAKER_OPEN, BREAKER_REASON_CONFIGURATION}, /* one is enough */
};

TEST(opens_by_the_shares_of_its_window)
{
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        struct bench bench;

        closed(&bench);
        bench.options.slow_ms = 10;
        breaker_init(&bench.breaker, &bench.options, 1, bench.now_ms, on_change, &bench);
        attempts(&bench, windows[i].successes, BREAKER_SUCCESS, 1);
        attempts(&bench, windows[i].failures, BREAKER_FAILURE, 1);
        attempts(&bench, windows[i].refusals, BREAKER_CONFIGURATION, 1);
        attempts(&bench, windows[i].slow, BREAKER_SUCCESS, 11);
        if (bench.breaker.state != windows[i].state)
            fail_msg("row %zu ends %s", i, breaker_state_name(bench.breaker.state));
        if (windows[i].state == BREAKER_OPEN)
            assert_int_equal(bench.last.reason, windows[i].reason);
    }
}

TEST(forgets_what_is_older_than_ten_seconds)
{
    struct bench bench;

    closed(&bench);
    attempts(&bench, 4, BREAKER_FAILURE, 0);
    bench.now_ms += 10000;
    attempts(&bench, 4, BREAKER_FAILURE, 0);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    bench.now_ms += 9000;
    attempt(&bench, BREAKER_FAILURE, 0);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
}

TEST(opens_after_three_connection_failures_in_a_row)
{
    struct bench bench;

    closed(&bench);
    attempts(&bench, 2, BREAKER_CONNECT_FAILURE, 1);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    attempt(&bench, BREAKER_CONNECT_FAILURE, 1);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
    assert_int_equal(bench.last.reason, BREAKER_REASON_CONNECT);
}

TEST(an_answer_of_any_kind_breaks_the_row_of_connection_failures)
{
    struct bench bench;

    closed(&bench);
    attempts(&bench, 2, BREAKER_CONNECT_FAILURE, 1);
    attempt(&bench, BREAKER_FAILURE, 1);
    attempt(&bench, BREAKER_CONNECT_FAILURE, 1);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
}

TEST(refuses_while_open_until_the_cooldown_has_passed)
{
    struct bench bench;

    opened(&bench);
    assert_false(is_allowed(&bench));
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 0);
    assert_int_equal(breaker_wait_ms(&bench.breaker, bench.now_ms), bench.last.cooldown_ms);
    bench.now_ms += bench.last.cooldown_ms - 1;
    assert_false(is_allowed(&bench));
    bench.now_ms += 1;
    assert_int_equal(breaker_wait_ms(&bench.breaker, bench.now_ms), 0);
    assert_true(is_allowed(&bench));
    assert_int_equal(bench.breaker.state, BREAKER_HALF_OPEN);
    assert_int_equal(bench.last.reason, BREAKER_REASON_COOLDOWN);
}

TEST(a_connection_that_comes_back_ends_the_cooldown_at_once)
{
    struct bench bench;

    opened(&bench);
    breaker_reconnected(&bench.breaker, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_HALF_OPEN);
    assert_int_equal(bench.last.reason, BREAKER_REASON_RECONNECT);
}

TEST(a_connection_that_comes_back_means_nothing_in_the_other_states)
{
    struct bench bench;

    closed(&bench);
    breaker_reconnected(&bench.breaker, bench.now_ms);
    assert_int_equal(bench.changes, 0);
    half_opened(&bench);
    breaker_reconnected(&bench.breaker, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_HALF_OPEN);
    assert_int_equal(bench.changes, 2);
}

TEST(gives_one_permit_at_a_time_while_half_open)
{
    struct bench bench;
    struct breaker_permit permit;

    half_opened(&bench);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 1);
    permit = permit_of(&bench);
    assert_false(is_allowed(&bench));
    breaker_report(&bench.breaker, &permit, BREAKER_SUCCESS, bench.now_ms);
    assert_true(is_allowed(&bench));
}

TEST(closes_after_three_successes)
{
    struct bench bench;

    half_opened(&bench);
    attempts(&bench, 2, BREAKER_SUCCESS, 1);
    assert_int_equal(bench.breaker.state, BREAKER_HALF_OPEN);
    attempt(&bench, BREAKER_SUCCESS, 1);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    assert_int_equal(bench.last.reason, BREAKER_REASON_RECOVERED);
}

TEST(one_failure_while_half_open_opens_again)
{
    static const enum breaker_result failures[] = {BREAKER_FAILURE, BREAKER_CONNECT_FAILURE,
                                                   BREAKER_CONFIGURATION};

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct bench bench;

        half_opened(&bench);
        attempts(&bench, 2, BREAKER_SUCCESS, 1);
        attempt(&bench, failures[i], 1);
        assert_int_equal(bench.breaker.state, BREAKER_OPEN);
        assert_int_equal(bench.last.reason, BREAKER_REASON_TRIAL);
    }
}

TEST(a_permit_past_its_deadline_counts_as_a_failure)
{
    struct bench bench;
    struct breaker_permit permit;

    half_opened(&bench);
    permit = permit_of(&bench);
    bench.now_ms += bench.options.permit_ms - 1;
    assert_false(is_allowed(&bench));
    assert_int_equal(breaker_wait_ms(&bench.breaker, bench.now_ms), 1);
    bench.now_ms += 1;
    assert_int_equal(breaker_step(&bench.breaker, bench.now_ms), BREAKER_OPEN);
    assert_int_equal(bench.last.reason, BREAKER_REASON_EXPIRED);
    breaker_report(&bench.breaker, &permit, BREAKER_SUCCESS, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
}

TEST(a_success_that_comes_past_the_deadline_is_a_failure_too)
{
    struct bench bench;

    half_opened(&bench);
    attempt(&bench, BREAKER_SUCCESS, bench.options.permit_ms);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
    assert_int_equal(bench.last.reason, BREAKER_REASON_EXPIRED);
}

TEST(an_answer_of_an_earlier_generation_counts_for_nothing)
{
    struct bench bench;
    struct breaker_permit old;
    struct breaker_permit trial;

    closed(&bench);
    old = permit_of(&bench);
    attempts(&bench, 3, BREAKER_CONNECT_FAILURE, 1);
    breaker_report(&bench.breaker, &old, BREAKER_SUCCESS, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);

    bench.now_ms += bench.last.cooldown_ms;
    trial = permit_of(&bench);
    breaker_report(&bench.breaker, &old, BREAKER_FAILURE, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_HALF_OPEN);
    assert_false(is_allowed(&bench)); /* the trial's permit is still out */

    breaker_report(&bench.breaker, &trial, BREAKER_SUCCESS, bench.now_ms);
    breaker_report(&bench.breaker, &trial, BREAKER_SUCCESS, bench.now_ms);
    breaker_report(&bench.breaker, &trial, BREAKER_SUCCESS, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_HALF_OPEN); /* one permit, one answer */
}

TEST(a_failure_from_before_the_opening_does_not_open_it_after_closing)
{
    struct bench bench;
    struct breaker_permit old[10];

    closed(&bench);
    for (int i = 0; i < 10; i++)
        old[i] = permit_of(&bench);
    attempts(&bench, 3, BREAKER_CONNECT_FAILURE, 1);
    bench.now_ms += bench.last.cooldown_ms;
    attempts(&bench, 3, BREAKER_SUCCESS, 1);
    for (int i = 0; i < 10; i++)
        breaker_report(&bench.breaker, &old[i], BREAKER_CONNECT_FAILURE, bench.now_ms);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
}

TEST(a_cancelled_permit_leaves_no_trace)
{
    struct bench bench;
    struct breaker_permit permit;

    half_opened(&bench);
    permit = permit_of(&bench);
    breaker_cancel(&bench.breaker, &permit, bench.now_ms);
    bench.now_ms += bench.options.permit_ms * 2;
    assert_int_equal(breaker_step(&bench.breaker, bench.now_ms), BREAKER_HALF_OPEN);
    assert_true(is_allowed(&bench));
}

TEST(the_window_is_empty_after_closing)
{
    struct bench bench;

    reclosed(&bench);
    attempts(&bench, 4, BREAKER_FAILURE, 0);
    assert_int_equal(bench.breaker.state, BREAKER_CLOSED);
    attempt(&bench, BREAKER_FAILURE, 0);
    assert_int_equal(bench.breaker.state, BREAKER_OPEN);
}

TEST(batches_ramp_up_after_closing)
{
    struct bench bench;

    reclosed(&bench);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 10);
    attempt(&bench, BREAKER_FAILURE, 1);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 10);
    attempt(&bench, BREAKER_SUCCESS, 1);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 100);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 50), 50);
    attempt(&bench, BREAKER_SUCCESS, 1);
    assert_int_equal(breaker_batch_limit(&bench.breaker, 4000), 4000);
}

/* The k-th cooldown lies between the half and the whole of min(8 s, 250 ms * 2^k). */
TEST(each_reopening_waits_twice_as_long_up_to_the_cap)
{
    static const int64_t tops_ms[] = {250, 500, 1000, 2000, 4000, 8000, 8000, 8000};

    for (uint64_t seed = 0; seed < 100; seed++) {
        struct bench bench;

        closed(&bench);
        breaker_init(&bench.breaker, &bench.options, seed, bench.now_ms, on_change, &bench);
        attempts(&bench, 3, BREAKER_CONNECT_FAILURE, 1);
        for (size_t k = 0; k < sizeof(tops_ms) / sizeof(tops_ms[0]); k++) {
            assert_in_range(bench.last.cooldown_ms, tops_ms[k] / 2, tops_ms[k]);
            bench.now_ms += bench.last.cooldown_ms;
            attempt(&bench, BREAKER_FAILURE, 1);
        }
    }
}

TEST(a_minute_of_being_closed_makes_the_next_opening_a_first_one)
{
    struct bench bench;

    reclosed(&bench);
    bench.now_ms += 59000;
    attempts(&bench, 3, BREAKER_CONNECT_FAILURE, 1);
    assert_in_range(bench.last.cooldown_ms, 250, 500); /* the second in its row */

    bench.now_ms += bench.last.cooldown_ms;
    attempts(&bench, 3, BREAKER_SUCCESS, 1);
    bench.now_ms += 60000;
    attempts(&bench, 3, BREAKER_CONNECT_FAILURE, 1);
    assert_in_range(bench.last.cooldown_ms, 125, 250);
}

TEST(a_retry_costs_a_token_and_a_success_earns_a_tenth)
{
    struct bench bench;
    int64_t wait_ms = 0;

    closed(&bench);
    for (int i = 0; i < 10; i++)
        assert_true(breaker_take_retry(&bench.breaker, 0, &wait_ms));
    assert_false(breaker_take_retry(&bench.breaker, 0, &wait_ms));
    attempts(&bench, 9, BREAKER_SUCCESS, 1);
    assert_false(breaker_take_retry(&bench.breaker, 0, &wait_ms));
    attempt(&bench, BREAKER_SUCCESS, 1);
    assert_true(breaker_take_retry(&bench.breaker, 0, &wait_ms));
    attempts(&bench, 1000, BREAKER_SUCCESS, 1);
    assert_true(breaker_retry_tokens(&bench.breaker) == 10.0);
}

TEST(a_piece_of_work_is_retried_three_times_with_growing_jitter)
{
    static const int64_t tops_ms[] = {50, 100, 200};
    struct bench bench;
    int64_t wait_ms = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        closed(&bench);
        breaker_init(&bench.breaker, &bench.options, seed, bench.now_ms, on_change, &bench);
        for (int retry = 0; retry < 3; retry++) {
            assert_true(breaker_take_retry(&bench.breaker, retry, &wait_ms));
            assert_in_range(wait_ms, 0, tops_ms[retry]);
        }
        assert_false(breaker_take_retry(&bench.breaker, 3, &wait_ms));
    }
}

TEST(nothing_is_retried_while_open)
{
    struct bench bench;
    int64_t wait_ms = 0;

    opened(&bench);
    assert_false(breaker_take_retry(&bench.breaker, 0, &wait_ms));
    assert_true(breaker_retry_tokens(&bench.breaker) == 10.0);
}

TEST(counts_the_time_it_was_open)
{
    struct bench bench;

    opened(&bench);
    bench.now_ms += 100;
    assert_int_equal(breaker_open_ms(&bench.breaker, bench.now_ms), 100);
    bench.now_ms += bench.last.cooldown_ms;
    (void)breaker_step(&bench.breaker, bench.now_ms);
    assert_int_equal(breaker_open_ms(&bench.breaker, bench.now_ms + 5000),
                     bench.last.at_ms - START_MS - 3);
}

TEST(a_clock_that_was_read_earlier_does_no_harm)
{
    struct bench bench;

    opened(&bench);
    assert_int_equal(breaker_step(&bench.breaker, bench.now_ms - 5000), BREAKER_OPEN);
    bench.now_ms += bench.last.cooldown_ms;
    assert_true(is_allowed(&bench));
    assert_int_equal(breaker_step(&bench.breaker, START_MS), BREAKER_HALF_OPEN);
}

TEST(works_without_anyone_to_tell)
{
    struct breaker_options options = breaker_default_options();
    struct breaker breaker;
    struct breaker_permit permit;

    breaker_init(&breaker, &options, 1, 0, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        assert_true(breaker_allow(&breaker, 0, &permit));
        breaker_report(&breaker, &permit, BREAKER_CONNECT_FAILURE, 0);
    }
    assert_string_equal(breaker_state_name(breaker.state), "open");
    assert_string_equal(breaker_reason_name(BREAKER_REASON_RECOVERED), "recovered");
}

TESTS(RUN(is_closed_at_first_and_lets_everything_through), RUN(opens_by_the_shares_of_its_window),
      RUN(forgets_what_is_older_than_ten_seconds),
      RUN(opens_after_three_connection_failures_in_a_row),
      RUN(an_answer_of_any_kind_breaks_the_row_of_connection_failures),
      RUN(refuses_while_open_until_the_cooldown_has_passed),
      RUN(a_connection_that_comes_back_ends_the_cooldown_at_once),
      RUN(a_connection_that_comes_back_means_nothing_in_the_other_states),
      RUN(gives_one_permit_at_a_time_while_half_open), RUN(closes_after_three_successes),
      RUN(one_failure_while_half_open_opens_again),
      RUN(a_permit_past_its_deadline_counts_as_a_failure),
      RUN(a_success_that_comes_past_the_deadline_is_a_failure_too),
      RUN(an_answer_of_an_earlier_generation_counts_for_nothing),
      RUN(a_failure_from_before_the_opening_does_not_open_it_after_closing),
      RUN(a_cancelled_permit_leaves_no_trace), RUN(the_window_is_empty_after_closing),
      RUN(batches_ramp_up_after_closing), RUN(each_reopening_waits_twice_as_long_up_to_the_cap),
      RUN(a_minute_of_being_closed_makes_the_next_opening_a_first_one),
      RUN(a_retry_costs_a_token_and_a_success_earns_a_tenth),
      RUN(a_piece_of_work_is_retried_three_times_with_growing_jitter),
      RUN(nothing_is_retried_while_open), RUN(counts_the_time_it_was_open),
      RUN(a_clock_that_was_read_earlier_does_no_harm), RUN(works_without_anyone_to_tell))
