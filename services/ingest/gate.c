#include "gate.h"

#include "clients/pg.h"
#include "ingest_metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum { IDLE_IN_TRANSACTION_MS = 10000, KNOCK_MIN_MS = 100, KNOCK_MAX_MS = 1000 };

void gate_init(struct gate *self, const struct gate_options *options, struct pg *pg)
{
    uint64_t seed = (uint64_t)clock_now_us() + options->partition;
    struct guard_options guard = {.dependency = GUARD_POSTGRES,
                                  .what = "store",
                                  .place = options->partition,
                                  .breaker = breaker_default_options()};

    guard.breaker.slow_ms = options->slow_ms;
    *self = (struct gate){
        .pg = pg,
        .partition = options->partition,
        .session = {.lock_ms = options->lock_ms, .idle_ms = IDLE_IN_TRANSACTION_MS},
    };
    guard_init(&self->guard, &guard, seed, clock_now_ms());
    backoff_init(&self->knocks, KNOCK_MIN_MS, KNOCK_MAX_MS, ~seed);
}

void gate_end(struct gate *self)
{
    guard_end(&self->guard);
}

/* Connects unless connected. */
static bool reach(struct gate *self, struct error *err)
{
    self->is_unreachable = !session_ensure(&self->session, self->pg, err);
    if (self->is_unreachable)
        self->knock_ms = clock_now_ms() + backoff_next_ms(&self->knocks);
    else
        backoff_reset(&self->knocks);
    return !self->is_unreachable;
}

bool gate_ask(struct gate *self, struct breaker_permit *out_permit, struct error *err)
{
    if (!guard_allow(&self->guard, clock_now_ms(), out_permit))
        return error_set(err, ERROR_UNAVAILABLE, "gate: the database's breaker is open");
    if (reach(self, err))
        return true;
    guard_report(&self->guard, out_permit, pg_judge_connect(self->pg, err), clock_now_ms());
    return false;
}

bool gate_answer(struct gate *self, const struct breaker_permit *permit, bool is_done,
                 const struct error *err)
{
    guard_report(&self->guard, permit, pg_judge(self->pg, is_done, err), clock_now_ms());
    return is_done;
}

void gate_settle(struct gate *self)
{
    self->retries = 0;
}

bool gate_take_retry(struct gate *self, const struct error *err)
{
    int64_t wait_ms = 0;

    if (err->kind != ERROR_UNAVAILABLE || !pg_is_connected(self->pg) ||
        !guard_take_retry(&self->guard, self->retries, &wait_ms))
        return false;
    self->retries++;
    self->retry_ms = clock_now_ms() + wait_ms;
    ingest_count(METRIC_ingest_retries_total, 1);
    log_warn("store_retried", "partition=%u retry=%d wait_ms=%lld error=\"%s\"", self->partition,
             self->retries, (long long)wait_ms, err->text);
    return true;
}

/* A database that takes connections again need not wait for the cooldown's end. */
static void knock(struct gate *self)
{
    struct error refusal = {0};

    if (!self->is_unreachable || clock_now_ms() < self->knock_ms)
        return;
    if (reach(self, &refusal))
        guard_reconnected(&self->guard, clock_now_ms());
    else
        log_debug("database_unreachable", "partition=%u error=\"%s\"", self->partition,
                  refusal.text);
}

int64_t gate_wait_ms(struct gate *self)
{
    int64_t now_ms = clock_now_ms();

    if (guard_step(&self->guard, now_ms) != BREAKER_OPEN)
        return self->retry_ms > now_ms ? self->retry_ms - now_ms : 0;
    knock(self);
    return breaker_wait_ms(&self->guard.breaker, clock_now_ms());
}

bool gate_is_open(const struct gate *self)
{
    return guard_is_open(&self->guard);
}

size_t gate_batch_limit(const struct gate *self, size_t full)
{
    return breaker_batch_limit(&self->guard.breaker, full);
}
