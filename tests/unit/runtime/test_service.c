#include "check.h"

#include "base/auto.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "temp_dir.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEADLINE_MS = 5000 };

/* Each test's log lines go to a file, to be counted and to keep the output readable. */
struct logged {
    struct temp_dir dir;
    char path[TEMP_PATH_SIZE];
};

static struct logged logged_open(struct error *err)
{
    struct logged logged = {temp_dir_new(), ""};
    struct log_options options = {
        .service = "test",
        .level = LOG_DEBUG,
        .file = temp_dir_path(&logged.dir, "log", logged.path),
        .file_max_bytes = 1 << 20,
    };

    assert_ok(log_open(&options, err));
    return logged;
}

static void logged_close(struct logged *logged)
{
    log_close();
    temp_dir_remove(&logged->dir);
}

static int count_events(const struct logged *logged, const char *event)
{
    AUTO(auto_free) char *text = temp_file_read(logged->path);
    char pattern[80];
    int count = 0;

    (void)snprintf(pattern, sizeof(pattern), "\"event\":\"%s\"", event);
    for (const char *at = text; at != NULL && (at = strstr(at, pattern)) != NULL; at++)
        count++;
    return count;
}

static struct service *opened(struct error *err)
{
    struct service *service = service_open("ingest", err);

    if (service == NULL)
        fail_msg("%s", err->text);
    return service;
}

/* Returns when the event stands in the log; fails at the deadline. */
static void await_event(const struct logged *logged, const char *event)
{
    const int64_t until_ms = clock_now_ms() + DEADLINE_MS;

    while (count_events(logged, event) == 0) {
        assert_true(clock_now_ms() < until_ms);
        clock_sleep_ms(1);
    }
}

TEST(starts_becomes_ready_and_drains)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);

    assert_string_equal(service_name(service), "ingest");
    assert_in_range(clock_at_ms() - service_started_at_ms(service), 0, DEADLINE_MS);
    assert_true(service_running(service));
    assert_false(service_is_ready(service));
    service_ready(service);
    service_ready(service);
    assert_true(service_is_ready(service));
    service_stop(service);
    service_stop(service);
    assert_false(service_running(service));
    assert_false(service_is_ready(service));
    assert_int_equal(count_events(&logged, "service_ready"), 1);
    assert_int_equal(count_events(&logged, "service_draining"), 1);
}

TEST(a_drain_before_readiness_wins)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);

    service_stop(service);
    service_ready(service);
    assert_false(service_is_ready(service));
}

TEST(sigterm_and_sigint_begin_the_drain)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < 2; i++) {
        AUTO(logged_close) struct logged logged = logged_open(err);
        AUTO(service_close) struct service *service = opened(err);
        const int64_t before_ms = clock_now_ms();

        assert_int_equal(kill(getpid(), numbers[i]), 0);
        service_wait(service, (int64_t)DEADLINE_MS * 10);
        assert_false(service_running(service));
        service_wait(service, (int64_t)DEADLINE_MS * 10); /* it ends every wait from now on */
        assert_true(clock_now_ms() - before_ms < DEADLINE_MS);
    }
}

TEST(sighup_is_logged_and_changes_nothing)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);

    assert_int_equal(kill(getpid(), SIGHUP), 0);
    await_event(&logged, "service_signal");
    assert_true(service_running(service));
    assert_int_equal(count_events(&logged, "service_draining"), 0);
}

static void *wait_for_stop(void *ctx)
{
    service_wait(ctx, (int64_t)DEADLINE_MS * 10);
    return NULL;
}

TEST(a_signal_that_comes_while_a_librarys_thread_runs_still_arrives)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);
    int64_t before_ms = clock_now_ms();
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_for_stop, service), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(service_running(service));
    assert_true(clock_now_ms() - before_ms < DEADLINE_MS);
}

TEST(closing_gives_the_signals_back)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    struct service *service = opened(err);
    sigset_t mask;

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_true(sigismember(&mask, SIGTERM));
    service_close(&service);
    assert_null(service);
    service_close(&service);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_false(sigismember(&mask, SIGTERM));
}

TEST(is_live_while_every_beat_is_fresh)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);
    size_t loop = service_add_beat(service, "loop 0");
    size_t worker = service_add_beat(service, "worker 0");
    const char *stuck = NULL;
    int64_t now_ms = clock_now_ms();

    assert_true(service_is_live(service, now_ms, &stuck));
    now_ms += SERVICE_LIVENESS_MS;
    service_beat(service, loop, now_ms);
    service_beat(service, worker, now_ms - SERVICE_LIVENESS_MS - 1);
    assert_false(service_is_live(service, now_ms, &stuck));
    assert_string_equal(stuck, "worker 0");
    service_beat(service, worker, now_ms + 5); /* read a moment later than now */
    assert_true(service_is_live(service, now_ms, &stuck));
}

TEST(a_beat_that_has_ended_may_be_silent)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);
    size_t worker = service_add_beat(service, "worker 0");
    const char *stuck = NULL;

    service_end_beat(service, worker);
    assert_true(service_is_live(service, clock_now_ms() + 1000000000, &stuck));
}

static size_t two_components(void *ctx, struct service_component *out, size_t max)
{
    assert_true(max >= 2);
    out[0] = (struct service_component){"nats", ctx, "", true};
    out[1] = (struct service_component){"redis", "down", "timed out", false};
    return 2;
}

TEST(components_are_the_owners_own_words)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);
    struct service_component components[4];
    char state[] = "up";

    assert_int_equal(service_components(service, components, 4), 0);
    service_set_components(service, two_components, state);
    assert_int_equal(service_components(service, components, 4), 2);
    assert_string_equal(components[0].state, "up");
    assert_true(components[0].is_critical);
    assert_string_equal(components[1].detail, "timed out");
}

TEST(a_start_up_failure_is_logged_and_is_a_failure_status)
{
    AUTO(logged_close) struct logged logged = logged_open(err);

    error_set(err, ERROR_INVALID, "config: PORT: must be set");
    assert_int_equal(service_fail(err), EXIT_FAILURE);
    assert_int_equal(count_events(&logged, "service_failed"), 1);
}

TEST(a_failure_is_logged_once_a_kind_and_its_end_once)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);

    service_stop(service); /* so that the pauses return at once */
    service_resume(service);
    for (int i = 0; i < 5; i++) {
        error_set(err, ERROR_UNAVAILABLE, "try %d", i);
        service_pause(service, err);
    }
    assert_int_equal(count_events(&logged, "step_failed"), 1);
    error_set(err, ERROR_UNCERTAIN, "another");
    service_pause(service, err);
    assert_int_equal(count_events(&logged, "step_failed"), 2);
    service_resume(service);
    service_resume(service);
    assert_int_equal(count_events(&logged, "step_recovered"), 1);
    service_pause(service, err);
    assert_int_equal(count_events(&logged, "step_failed"), 3);
    service_resume(service);
}

TEST(a_pause_waits_and_a_stop_ends_it)
{
    AUTO(logged_close) struct logged logged = logged_open(err);
    AUTO(service_close) struct service *service = opened(err);
    int64_t before_ms = clock_now_ms();

    error_set(err, ERROR_UNAVAILABLE, "down");
    service_pause(service, err);
    assert_in_range(clock_now_ms() - before_ms, SERVICE_PAUSE_MIN_MS / 2 - 1, DEADLINE_MS);
    service_stop(service);
    before_ms = clock_now_ms();
    for (int i = 0; i < 100; i++)
        service_pause(service, err);
    assert_true(clock_now_ms() - before_ms < DEADLINE_MS);
    service_resume(service);
}

TESTS(RUN(starts_becomes_ready_and_drains), RUN(a_drain_before_readiness_wins),
      RUN(sigterm_and_sigint_begin_the_drain), RUN(sighup_is_logged_and_changes_nothing),
      RUN(a_signal_that_comes_while_a_librarys_thread_runs_still_arrives),
      RUN(closing_gives_the_signals_back), RUN(is_live_while_every_beat_is_fresh),
      RUN(a_beat_that_has_ended_may_be_silent), RUN(components_are_the_owners_own_words),
      RUN(a_start_up_failure_is_logged_and_is_a_failure_status),
      RUN(a_failure_is_logged_once_a_kind_and_its_end_once), RUN(a_pause_waits_and_a_stop_ends_it))
