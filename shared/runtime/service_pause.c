/* What happens between two tries of a step that fails: one log line and a growing wait. */
#include "runtime/service.h"

#include "base/backoff.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <pthread.h>
#include <stdlib.h>

/* What a thread remembers of its failing steps; a process has one service, so one is enough. */
struct trouble {
    int failures; /* in a row; 0: all is well */
    enum error_kind logged_kind;
    int64_t logged_ms;
    int64_t since_ms;
    struct backoff backoff;
};
static _Thread_local struct trouble trouble;

int service_fail(const struct error *err)
{
    log_error("service_failed", "kind=%s error=\"%s\"", error_kind_name(err->kind), err->text);
    return EXIT_FAILURE;
}

/* The first failure decides when this began, and seeds the jitter. */
static void begin_trouble(int64_t now_ms)
{
    uint64_t seed = (uint64_t)clock_now_us() ^ (uint64_t)(uintptr_t)&trouble;

    trouble = (struct trouble){.since_ms = now_ms, .logged_kind = ERROR_NONE};
    backoff_init(&trouble.backoff, SERVICE_PAUSE_MIN_MS, SERVICE_PAUSE_MAX_MS, seed);
}

static enum log_level level_of(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
    case ERROR_LIMIT:
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
        return LOG_WARN; /* we cope: the step is tried again */
    case ERROR_INVALID:
    case ERROR_INTERNAL:
        return LOG_ERROR; /* trying again will not help: someone must act */
    }
    return LOG_ERROR;
}

static void log_failure(const struct error *err, int64_t now_ms)
{
    if (trouble.logged_kind == err->kind && now_ms - trouble.logged_ms < SERVICE_REPEAT_LOG_MS)
        return;
    trouble.logged_kind = err->kind;
    trouble.logged_ms = now_ms;
    log_write(level_of(err->kind), "step_failed", "kind=%s error=\"%s\" failures=%d since_ms=%lld",
              error_kind_name(err->kind), err->text, trouble.failures,
              (long long)(now_ms - trouble.since_ms));
}

void service_pause(struct service *service, const struct error *err)
{
    int64_t now_ms = clock_now_ms();

    if (trouble.failures == 0)
        begin_trouble(now_ms);
    trouble.failures++;
    log_failure(err, now_ms);
    service_wait(service, backoff_next_ms(&trouble.backoff));
}

void service_resume(struct service *service)
{
    (void)service;
    if (trouble.failures == 0)
        return;
    log_info("step_recovered", "failures=%d after_ms=%lld", trouble.failures,
             (long long)(clock_now_ms() - trouble.since_ms));
    trouble.failures = 0;
}
