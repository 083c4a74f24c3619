#include "check.h"
#include "clients/guard.h"
#include "runtime/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of a series on the page of metrics; -1: it is not there. */
static double shown(const char *series)
{
    size_t size = 0;
    char *page = metrics_render(&size);
    char line[200];
    double value = -1;

    assert_non_null(page);
    (void)snprintf(line, sizeof(line), "\nadledger_%s ", series);
    char *at = strstr(page, line);
    if (at != NULL)
        value = strtod(at + strlen(line), NULL);
    free(page);
    return value;
}

static const struct guard_options options = {
    .dependency = GUARD_REDIS, .what = "test", .breaker = {0}};

static void init(struct guard *guard, int64_t now_ms)
{
    struct guard_options full = options;

    full.breaker = breaker_default_options();
    guard_init(guard, &full, 1, now_ms);
}

static void fail_to_connect(struct guard *guard, int64_t now_ms)
{
    struct breaker_permit permit;

    assert_true(guard_allow(guard, now_ms, &permit));
    guard_report(guard, &permit, BREAKER_CONNECT_FAILURE, now_ms);
}

TEST(breakers_of_one_dependency_add_up_by_state)
{
    struct guard first, second;

    init(&first, 1000);
    init(&second, 1000);
    assert_true(shown("breaker_state{dependency=\"redis\",state=\"closed\"}") == 2);
    for (int i = 0; i < 3; i++)
        fail_to_connect(&first, 1000);
    assert_true(guard_is_open(&first));
    assert_true(shown("breaker_state{dependency=\"redis\",state=\"closed\"}") == 1);
    assert_true(shown("breaker_state{dependency=\"redis\",state=\"open\"}") == 1);
    guard_end(&first);
    guard_end(&first);
    guard_end(&second);
    assert_true(shown("breaker_state{dependency=\"redis\",state=\"open\"}") == 0);
    assert_true(shown("breaker_state{dependency=\"redis\",state=\"closed\"}") == 0);
    assert_true(shown("breaker_retry_tokens{dependency=\"redis\"}") == 0);
}

TEST(calls_rejections_changes_and_open_time_are_counted)
{
    struct guard guard;
    struct breaker_permit permit;
    double calls = shown("breaker_calls_total{dependency=\"redis\",result=\"connect_failure\"}");
    double rejected = shown("breaker_rejected_total{dependency=\"redis\"}");
    double opened = shown("breaker_transitions_total{dependency=\"redis\",from=\"closed\","
                          "to=\"open\",reason=\"connect\"}");
    double open_s = shown("breaker_open_seconds_total{dependency=\"redis\"}");

    init(&guard, 1000);
    for (int i = 0; i < 3; i++)
        fail_to_connect(&guard, 1000);
    assert_false(guard_allow(&guard, 1001, &permit));
    (void)guard_step(&guard, 1010);
    guard_reconnected(&guard, 1020);
    assert_true(guard_allow(&guard, 1030, &permit));
    guard_report(&guard, &permit, BREAKER_FAILURE, 1040);
    assert_true(guard_is_open(&guard));
    for (int64_t now_ms = 1040; now_ms <= 60000; now_ms += 20) {
        if (guard_step(&guard, now_ms) == BREAKER_HALF_OPEN && guard_allow(&guard, now_ms, &permit))
            guard_report(&guard, &permit, BREAKER_FAILURE, now_ms);
    }

    assert_true(shown("breaker_calls_total{dependency=\"redis\",result=\"connect_failure\"}") ==
                calls + 3);
    assert_true(shown("breaker_rejected_total{dependency=\"redis\"}") == rejected + 1);
    assert_true(shown("breaker_transitions_total{dependency=\"redis\",from=\"closed\",to=\"open\","
                      "reason=\"connect\"}") == opened + 1);
    assert_true(shown("breaker_open_seconds_total{dependency=\"redis\"}") >= open_s + 57);
    guard_end(&guard);
}

TESTS(RUN(breakers_of_one_dependency_add_up_by_state),
      RUN(calls_rejections_changes_and_open_time_are_counted))
