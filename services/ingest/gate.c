#include "gate.h"

#include "clients/pg.h"
#include "ingest_metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum { IDLE_IN_TRANSACTION_MS = 10000, KNOCK_MIN_MS = 100, KNOCK_MAX_MS = 1000 };

static void on_breaker_change(void *ctx, const struct breaker_change *change)
{
    const struct gate *self = ctx;

    log_warn("breaker_changed", "dependency=postgres partition=%u from=%s to=%s reason=%s",
             self->partition, breaker_state_name(change->from), breaker_state_name(change->to),
             breaker_reason_name(change->reason));
    ingest_count_by(METRIC_ingest_breaker_changes_total, (size_t)change->reason, 1);
    ingest_gauge_by(METRIC_ingest_breaker_state, self->partition, (double)change->to);
}

void gate_init(struct gate *self, const struct gate_options *options, struct pg *pg)
{
    struct breaker_options limits = breaker_default_options();
    uint64_t seed = (uint64_t)clock_now_us() + options->partition;

    limits.slow_ms = options->slow_ms;
    *self = (struct gate){
        .pg = pg,
        .partition = options->partition,
        .session = {.lock_ms = options->lock_ms, .idle_ms = IDLE_IN_TRANSACTION_MS},
    };
    breaker_init(&self->breaker, &limits, seed, clock_now_ms(), on_breaker_change, self);
    backoff_init(&self->knocks, KNOCK_MIN_MS, KNOCK_MAX_MS, ~seed);
}

/* What an answer of the database means to its breaker. */
static enum breaker_result judge(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_LIMIT:
        return BREAKER_SUCCESS;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
    case ERROR_INTERNAL: /* a broken deployment: asking more often does not mend it */
        return BREAKER_FAILURE;
    }
    return BREAKER_FAILURE;
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
    if (!breaker_allow(&self->breaker, clock_now_ms(), out_permit))
        return error_set(err, ERROR_UNAVAILABLE, "gate: the database's breaker is open");
    if (reach(self, err))
        return true;
    breaker_report(&self->breaker, out_permit,
                   err->kind == ERROR_UNAVAILABLE ? BREAKER_CONNECT_FAILURE : judge(err->kind),
                   clock_now_ms());
    return false;
}

bool gate_answer(struct gate *self, const struct breaker_permit *permit, bool is_done,
                 const struct error *err)
{
    breaker_report(&self->breaker, permit, judge(is_done ? ERROR_NONE : err->kind), clock_now_ms());
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
        !breaker_take_retry(&self->breaker, self->retries, &wait_ms))
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
        breaker_reconnected(&self->breaker, clock_now_ms());
    else
        log_debug("database_unreachable", "partition=%u error=\"%s\"", self->partition,
                  refusal.text);
}

int64_t gate_wait_ms(struct gate *self)
{
    int64_t now_ms = clock_now_ms();
    double open_s = (double)breaker_open_ms(&self->breaker, now_ms) / 1e3;

    ingest_gauge_by(METRIC_ingest_breaker_open_seconds, self->partition, open_s);
    ingest_gauge_by(METRIC_ingest_retry_tokens, self->partition,
                    breaker_retry_tokens(&self->breaker));
    if (breaker_step(&self->breaker, now_ms) != BREAKER_OPEN)
        return self->retry_ms > now_ms ? self->retry_ms - now_ms : 0;
    knock(self);
    return breaker_wait_ms(&self->breaker, clock_now_ms());
}

bool gate_is_open(const struct gate *self)
{
    return self->breaker.state == BREAKER_OPEN;
}

size_t gate_batch_limit(const struct gate *self, size_t full)
{
    return breaker_batch_limit(&self->breaker, full);
}
