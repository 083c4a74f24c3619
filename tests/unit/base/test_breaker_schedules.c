/*
 * The breaker under random owners and peers: fixed seeds, so that a failure can be run again.
 *
 * Each step an owner may ask, answer (soon, late, twice, never, with an old permit), cancel or
 * reconnect, and the clock goes on. What must hold is checked after every step.
 */
#include "check.h"

#include "base/breaker.h"

#include <string.h>

enum { SEEDS = 200, STEPS = 3000, PERMITS = 8 };

struct run {
    struct breaker breaker;
    struct breaker_options options;
    struct random random;
    int64_t now_ms;
    struct breaker_permit permits[PERMITS]; /* given at some time, answered or not */
    size_t permit_count;
    int failing_percent;
    enum breaker_state state; /* as the changes tell it */
    int trial_answers;
};

static void on_change(void *ctx, const struct breaker_change *change)
{
    struct run *run = ctx;
    bool is_drawn = (change->from == BREAKER_CLOSED && change->to == BREAKER_OPEN) ||
                    (change->from == BREAKER_OPEN && change->to == BREAKER_HALF_OPEN) ||
                    (change->from == BREAKER_HALF_OPEN && change->to != BREAKER_HALF_OPEN);

    assert_true(is_drawn); /* the arrows of the picture, and no other */
    assert_int_equal(change->from, run->state);
    if (change->to == BREAKER_CLOSED)
        assert_int_equal(run->trial_answers, run->options.successes_to_close);
    if (change->to == BREAKER_OPEN)
        assert_in_range(change->cooldown_ms, 125, 8000);
    run->state = change->to;
    run->trial_answers = 0;
}

static int percent(struct run *run)
{
    return (int)random_between(&run->random, 0, 99);
}

static void ask(struct run *run)
{
    struct breaker_permit permit = {0};

    if (breaker_allow(&run->breaker, run->now_ms, &permit)) {
        assert_int_not_equal(run->state, BREAKER_OPEN);
        run->permits[run->permit_count++ % PERMITS] = permit;
    }
}

/* Of the permits that are remembered; most are old, and were answered before. */
static struct breaker_permit pick(struct run *run)
{
    size_t count = run->permit_count < PERMITS ? run->permit_count : PERMITS;

    return run->permits[(size_t)random_between(&run->random, 0, (int64_t)count - 1)];
}

static void answer(struct run *run)
{
    struct breaker_permit permit = pick(run);
    bool is_failing = percent(run) < run->failing_percent;
    bool is_trial = run->breaker.is_trial_out && run->breaker.last_serial == permit.serial &&
                    run->now_ms < run->breaker.trial_ends_ms;

    if (is_trial && !is_failing)
        run->trial_answers++;
    breaker_report(&run->breaker, &permit,
                   is_failing ? (enum breaker_result)random_between(&run->random, BREAKER_FAILURE,
                                                                    BREAKER_RESULT_COUNT - 1)
                              : BREAKER_SUCCESS,
                   run->now_ms);
}

static void step(struct run *run)
{
    int dice = percent(run);

    run->now_ms += random_between(&run->random, 0, dice < 3 ? 20000 : 200);
    (void)breaker_step(&run->breaker, run->now_ms);
    if (dice < 50)
        ask(run);
    else if (dice < 90 && run->permit_count > 0)
        answer(run);
    else if (dice < 93 && run->permit_count > 0) {
        struct breaker_permit permit = pick(run);

        breaker_cancel(&run->breaker, &permit, run->now_ms);
    } else if (dice < 95)
        breaker_reconnected(&run->breaker, run->now_ms);
    assert_int_equal(run->breaker.state, run->state);
    assert_in_range((int64_t)breaker_retry_tokens(&run->breaker), 0, 10);
}

static void begin(struct run *run, uint64_t seed)
{
    memset(run, 0, sizeof(*run));
    run->options = breaker_default_options();
    run->random.state = seed * 7919;
    run->now_ms = 1000;
    breaker_init(&run->breaker, &run->options, seed, run->now_ms, on_change, run);
}

TEST(only_the_arrows_of_the_picture_are_ever_taken)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct run run;

        begin(&run, seed);
        for (int i = 0; i < STEPS; i++) {
            if (i % 300 == 0)
                run.failing_percent = percent(&run);
            step(&run);
        }
    }
}

/* One try at a healthy peer, whose answer the owner may forget to report. */
static void ask_healthy(struct run *run, bool is_forgotten)
{
    struct breaker_permit permit = {0};

    if (!breaker_allow(&run->breaker, run->now_ms, &permit) || is_forgotten)
        return;
    run->trial_answers++;
    breaker_report(&run->breaker, &permit, BREAKER_SUCCESS, run->now_ms);
}

/* After any history, and with an owner that forgets permits. */
TEST(half_open_always_ends)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct run run;

        begin(&run, seed);
        run.failing_percent = 60;
        for (int i = 0; i < (int)(seed * 10); i++)
            step(&run);
        for (int i = 0; i < 100000 && run.state != BREAKER_CLOSED; i++) {
            run.now_ms += 100;
            ask_healthy(&run, i % 16 == 0);
        }
        assert_int_equal(run.state, BREAKER_CLOSED);
    }
}

TEST(a_healthy_peer_is_reached_again_within_its_cooldown)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct run run;
        int64_t healthy_ms = 0;

        begin(&run, seed);
        run.failing_percent = 100;
        for (int i = 0; i < STEPS; i++)
            step(&run);
        healthy_ms = run.now_ms;
        while (run.state != BREAKER_CLOSED) {
            run.now_ms += 10;
            ask_healthy(&run, false);
        }
        /* A forgotten trial, its deadline, and one longest cooldown. */
        assert_in_range(run.now_ms - healthy_ms, 0, 5000 + 8000 + 100);
    }
}

TEST(a_dead_peer_is_asked_seldom)
{
    struct run run;
    int asked = 0;

    begin(&run, 5);
    for (int i = 0; i < 60000; i++) {
        struct breaker_permit permit = {0};

        run.now_ms += 10;
        if (!breaker_allow(&run.breaker, run.now_ms, &permit))
            continue;
        asked++;
        breaker_report(&run.breaker, &permit, BREAKER_CONNECT_FAILURE, run.now_ms);
    }
    /* Ten minutes: a few quick ones, then one each 4 to 8 s. */
    assert_in_range(asked, 75, 170);
}

TESTS(RUN(only_the_arrows_of_the_picture_are_ever_taken), RUN(half_open_always_ends),
      RUN(a_healthy_peer_is_reached_again_within_its_cooldown), RUN(a_dead_peer_is_asked_seldom))
