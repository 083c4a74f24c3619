#include "check.h"

#include "base/auto.h"
#include "rate_limiter.h"

#include <pthread.h>

enum { START_MS = 1000000, THREADS = 4, TRIES = 50000 };

static const struct rate ten_a_second = {.rps = 10, .burst = 5};

/* A table with a single set: every caller meets every other. */
static struct rate_limiter *one_set(struct error *err)
{
    struct rate_limiter *limiter = rate_limiter_new(1, err);

    assert_ok(limiter != NULL);
    return limiter;
}

static bool take(struct rate_limiter *limiter, uint64_t caller, int64_t now_ms)
{
    return rate_limiter_take(limiter, caller, &ten_a_second, now_ms).is_allowed;
}

static int take_all(struct rate_limiter *limiter, uint64_t caller, int64_t now_ms)
{
    int count = 0;

    while (take(limiter, caller, now_ms))
        count++;
    return count;
}

TEST(allows_a_burst_and_then_one_for_each_interval)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);

    assert_int_equal(5, take_all(limiter, 1, START_MS));
    assert_int_equal(0, take_all(limiter, 1, START_MS + 99));
    assert_int_equal(1, take_all(limiter, 1, START_MS + 100));
    assert_int_equal(2, take_all(limiter, 1, START_MS + 300));
    assert_int_equal(5, take_all(limiter, 1, START_MS + 100000));
}

TEST(tells_what_is_left_and_how_long_to_wait)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);
    struct rate_verdict verdict = rate_limiter_take(limiter, 1, &ten_a_second, START_MS);

    assert_int_equal(4, verdict.remaining);
    assert_int_equal(100, verdict.full_ms);
    (void)take_all(limiter, 1, START_MS);
    verdict = rate_limiter_take(limiter, 1, &ten_a_second, START_MS + 30);

    assert_false(verdict.is_allowed);
    assert_int_equal(0, verdict.remaining);
    assert_int_equal(70, verdict.wait_ms);
}

TEST(keeps_callers_apart)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);

    (void)take_all(limiter, 1, START_MS);
    assert_int_equal(5, take_all(limiter, 2, START_MS));
}

TEST(lets_a_batch_go_below_nothing_and_its_sender_wait)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);

    assert_true(take(limiter, 1, START_MS));
    rate_limiter_charge(limiter, 1, &ten_a_second, 99, START_MS); /* 100 events: 10 s of tokens */
    assert_false(take(limiter, 1, START_MS + 9500));
    assert_true(take(limiter, 1, START_MS + 9600));
}

TEST(counts_nothing_without_a_rate)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);
    const struct rate off = {.rps = 0, .burst = 3};

    for (int i = 0; i < 100; i++)
        assert_true(rate_limiter_take(limiter, 1, &off, START_MS).is_allowed);
    assert_int_equal(0, rate_limiter_places_used(limiter));
}

TEST(has_a_second_of_burst_when_none_is_given)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);
    const struct rate rate = {.rps = 3};
    int count = 0;

    while (rate_limiter_take(limiter, 1, &rate, START_MS).is_allowed)
        count++;
    assert_int_equal(3, count);
}

TEST(never_grows_beyond_its_places)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = rate_limiter_new(100, err);

    assert_int_equal(104, rate_limiter_places(limiter));
    for (uint64_t i = 0; i < 10000; i++)
        (void)take(limiter, rate_limiter_hash(limiter, &i, sizeof(i)), START_MS);
    assert_in_range(rate_limiter_places_used(limiter), 90, 104);
}

TEST(gives_the_place_of_a_full_bucket_away_without_an_eviction)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);
    struct rate_verdict verdict;

    for (uint64_t caller = 1; caller <= RATE_WAYS; caller++)
        (void)take(limiter, caller, START_MS);
    verdict = rate_limiter_take(limiter, 99, &ten_a_second, START_MS + 1000);

    assert_false(verdict.has_evicted);
    assert_int_equal(4, verdict.remaining);
}

TEST(does_not_let_many_addresses_wash_a_drained_bucket_away)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);

    (void)take_all(limiter, 1, START_MS);
    for (uint64_t caller = 2; caller < 2000; caller++)
        (void)take(limiter, caller, START_MS);
    assert_false(take(limiter, 1, START_MS));
}

TEST(gives_a_newcomer_the_level_of_the_bucket_it_takes)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);
    struct rate_verdict verdict;
    int allowed = 0;

    for (uint64_t caller = 1; caller <= RATE_WAYS; caller++)
        assert_true(take(limiter, caller, START_MS));
    verdict = rate_limiter_take(limiter, 99, &ten_a_second, START_MS);
    assert_true(verdict.has_evicted);
    assert_int_equal(3, verdict.remaining); /* one was gone, and this is the second */

    /* However many addresses come: a set allows what its eight buckets hold. */
    for (uint64_t caller = 100; caller < 1000; caller++)
        allowed += take_all(limiter, caller, START_MS);
    assert_int_equal(RATE_WAYS * 5 - RATE_WAYS - 1, allowed);
}

struct racer {
    struct rate_limiter *limiter;
    int allowed;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    const struct rate rate = {.rps = 1, .burst = 1000};

    for (int i = 0; i < TRIES; i++)
        racer->allowed += rate_limiter_take(racer->limiter, 7, &rate, START_MS).is_allowed;
    return NULL;
}

TEST(allows_all_threads_together_what_one_caller_may)
{
    AUTO(rate_limiter_free) struct rate_limiter *limiter = one_set(err);
    struct racer racers[THREADS] = {{0}};
    pthread_t threads[THREADS];
    int allowed = 0;

    for (int i = 0; i < THREADS; i++) {
        racers[i].limiter = limiter;
        assert_int_equal(0, pthread_create(&threads[i], NULL, race, &racers[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
        allowed += racers[i].allowed;
    }
    assert_int_equal(1000, allowed);
}

TESTS(RUN(allows_a_burst_and_then_one_for_each_interval),
      RUN(tells_what_is_left_and_how_long_to_wait), RUN(keeps_callers_apart),
      RUN(lets_a_batch_go_below_nothing_and_its_sender_wait), RUN(counts_nothing_without_a_rate),
      RUN(has_a_second_of_burst_when_none_is_given), RUN(never_grows_beyond_its_places),
      RUN(gives_the_place_of_a_full_bucket_away_without_an_eviction),
      RUN(does_not_let_many_addresses_wash_a_drained_bucket_away),
      RUN(gives_a_newcomer_the_level_of_the_bucket_it_takes),
      RUN(allows_all_threads_together_what_one_caller_may))
