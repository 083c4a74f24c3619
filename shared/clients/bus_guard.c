#include "clients/bus_guard.h"

#include "runtime/clock.h"

enum { PERMIT_MARGIN_MS = 1000 };

void bus_guard_init(struct bus_guard *self, int request_ms)
{
    struct guard_options options = {
        .dependency = GUARD_NATS, .what = "request", .breaker = breaker_default_options()};

    options.breaker.slow_ms = request_ms / 2;
    options.breaker.permit_ms = request_ms + PERMIT_MARGIN_MS;
    pthread_mutex_init(&self->lock, NULL);
    guard_init(&self->guard, &options, (uint64_t)clock_now_us() ^ (uint64_t)(uintptr_t)self,
               clock_now_ms());
}

void bus_guard_end(struct bus_guard *self)
{
    guard_end(&self->guard);
    pthread_mutex_destroy(&self->lock);
}

bool bus_guard_ask(struct bus_guard *self, bool is_connected, uint64_t epoch,
                   struct breaker_permit *out_permit)
{
    int64_t now_ms = clock_now_ms();
    bool is_allowed;

    pthread_mutex_lock(&self->lock);
    if (guard_step(&self->guard, now_ms) == BREAKER_OPEN && is_connected && epoch != self->epoch)
        guard_reconnected(&self->guard, now_ms);
    if (is_connected)
        self->epoch = epoch;
    is_allowed = guard_allow(&self->guard, now_ms, out_permit);
    pthread_mutex_unlock(&self->lock);
    return is_allowed;
}

void bus_guard_tell(struct bus_guard *self, const struct breaker_permit *permit, bool is_connected,
                    enum error_kind kind)
{
    enum breaker_result result = guard_judge(kind);

    if (result == BREAKER_FAILURE && !is_connected)
        result = BREAKER_CONNECT_FAILURE;
    pthread_mutex_lock(&self->lock);
    guard_report(&self->guard, permit, result, clock_now_ms());
    pthread_mutex_unlock(&self->lock);
}
