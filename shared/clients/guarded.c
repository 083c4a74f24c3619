#include "clients/guarded.h"

#include "clients/guard.h"
#include "runtime/clock.h"

void guarded_init(struct guarded *self, struct guard *guard)
{
    *self = (struct guarded){.guard = guard};
    backoff_init(&self->knocks, GUARDED_KNOCK_MIN_MS, GUARDED_KNOCK_MAX_MS,
                 (uint64_t)clock_now_us() ^ (uint64_t)(uintptr_t)self);
}

void guarded_note_reach(struct guarded *self, bool is_reached)
{
    self->is_unreachable = !is_reached;
    if (is_reached)
        backoff_reset(&self->knocks);
    else
        self->knock_ms = clock_now_ms() + backoff_next_ms(&self->knocks);
}

static void knock(struct guarded *self, bool (*reach)(void *ctx), void *ctx)
{
    if (self->is_unreachable && clock_now_ms() >= self->knock_ms && reach(ctx))
        guard_reconnected(self->guard, clock_now_ms());
}

bool guarded_ask(struct guarded *self, bool (*reach)(void *ctx), void *ctx,
                 struct breaker_permit *out_permit)
{
    if (self->guard == NULL)
        return true;
    if (guard_step(self->guard, clock_now_ms()) == BREAKER_OPEN)
        knock(self, reach, ctx);
    return guard_allow(self->guard, clock_now_ms(), out_permit);
}

void guarded_tell(struct guarded *self, const struct breaker_permit *permit,
                  enum breaker_result result)
{
    if (result == BREAKER_FAILURE && self->is_unreachable)
        result = BREAKER_CONNECT_FAILURE;
    if (self->guard != NULL)
        guard_report(self->guard, permit, result, clock_now_ms());
}
