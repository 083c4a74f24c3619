/*
 * bus_guard.h — the breaker of a bus's requests
 *
 * Why:     a bus is shared by the threads of a service and a breaker has one owner, so a lock
 *          stands around it. What is delivered without being asked for (messages, acks) needs no
 *          permit.
 * Units:   monotonic milliseconds, read here.
 * Errors:  bus_guard_ask says false while the breaker is open; the caller's answer is "not now".
 * Threads: any.
 */
#pragma once

#include "base/error.h"
#include "clients/guard.h"
#include <pthread.h>

struct bus_guard {
    pthread_mutex_t lock; /* guards what follows, for moments only */
    struct guard guard;
    uint64_t epoch; /* the bus's, when it was told last */
};

void bus_guard_init(struct bus_guard *self, int request_ms);
void bus_guard_end(struct bus_guard *self);

/* epoch is the bus's now: one that has changed while it is connected ends a cooldown. */
bool bus_guard_ask(struct bus_guard *self, bool is_connected, uint64_t epoch,
                   struct breaker_permit *out_permit);
/* kind: what became of the request. Without a connection there was nobody to ask. */
void bus_guard_tell(struct bus_guard *self, const struct breaker_permit *permit, bool is_connected,
                    enum error_kind kind);
