#include "clients/guard.h"

#include "clients/clients_metrics.h"
#include "runtime/log.h"

enum { MS_PER_S = 1000 };

static const char *const dependency_names[GUARD_DEPENDENCY_COUNT] = {"nats", "postgres", "redis"};

static void show_state(const struct guard *self, enum breaker_state state, int64_t change)
{
    clients_count_by(METRIC_breaker_state,
                     (size_t)self->dependency * BREAKER_STATE_COUNT + (size_t)state, change);
}

static void show_tokens(struct guard *self, int64_t tokens)
{
    clients_count_by(METRIC_breaker_retry_tokens, self->dependency, tokens - self->told_tokens);
    self->told_tokens = tokens;
}

static void on_change(void *ctx, const struct breaker_change *change)
{
    struct guard *self = ctx;

    show_state(self, change->from, -1);
    show_state(self, change->to, 1);
    clients_count_by(METRIC_breaker_transitions_total,
                     (size_t)self->dependency * BREAKER_REASON_COUNT + (size_t)change->reason, 1);
    log_warn("breaker_changed",
             "dependency=%s what=%s place=%u from=%s to=%s reason=%s cooldown_ms=%lld",
             dependency_names[self->dependency], self->what, self->place,
             breaker_state_name(change->from), breaker_state_name(change->to),
             breaker_reason_name(change->reason), (long long)change->cooldown_ms);
}

void guard_init(struct guard *self, const struct guard_options *options, uint64_t seed,
                int64_t now_ms)
{
    *self = (struct guard){.dependency = options->dependency,
                           .what = options->what,
                           .place = options->place,
                           .is_shown = true};
    breaker_init(&self->breaker, &options->breaker, seed, now_ms, on_change, self);
    show_state(self, self->breaker.state, 1);
    show_tokens(self, (int64_t)breaker_retry_tokens(&self->breaker));
}

void guard_end(struct guard *self)
{
    if (!self->is_shown)
        return;
    self->is_shown = false;
    show_state(self, self->breaker.state, -1);
    show_tokens(self, 0);
}

bool guard_allow(struct guard *self, int64_t now_ms, struct breaker_permit *out_permit)
{
    if (breaker_allow(&self->breaker, now_ms, out_permit))
        return true;
    clients_count_by(METRIC_breaker_rejected_total, self->dependency, 1);
    return false;
}

void guard_report(struct guard *self, const struct breaker_permit *permit,
                  enum breaker_result result, int64_t now_ms)
{
    clients_count_by(METRIC_breaker_calls_total,
                     (size_t)self->dependency * BREAKER_RESULT_COUNT + (size_t)result, 1);
    breaker_report(&self->breaker, permit, result, now_ms);
}

void guard_reconnected(struct guard *self, int64_t now_ms)
{
    breaker_reconnected(&self->breaker, now_ms);
}

enum breaker_state guard_step(struct guard *self, int64_t now_ms)
{
    enum breaker_state state = breaker_step(&self->breaker, now_ms);
    int64_t open_s = breaker_open_ms(&self->breaker, now_ms) / MS_PER_S;
    int64_t tokens = (int64_t)breaker_retry_tokens(&self->breaker);

    if (open_s != self->told_open_s) {
        clients_count_by(METRIC_breaker_open_seconds_total, self->dependency,
                         open_s - self->told_open_s);
        self->told_open_s = open_s;
    }
    if (tokens != self->told_tokens)
        show_tokens(self, tokens);
    return state;
}

bool guard_take_retry(struct guard *self, int retry, int64_t *out_wait_ms)
{
    return breaker_take_retry(&self->breaker, retry, out_wait_ms);
}

bool guard_is_open(const struct guard *self)
{
    return self->breaker.state == BREAKER_OPEN;
}

enum breaker_result guard_judge(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_LIMIT:
        return BREAKER_SUCCESS;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
    case ERROR_INTERNAL:
        return BREAKER_FAILURE;
    }
    return BREAKER_FAILURE;
}
