/*
 * bus_move.h — makes a bus's next connection on a thread of its own
 *
 * Why:     a connect takes its time for each server of the list, and a name as long as the resolver
 *          likes: whoever has a connection that works must not wait for one that may never come.
 * Shape:   the thread is started for one try and ends with it; there is one at a time.
 * Errors:  without a thread nothing is tried, the log says so, and a call after rest_ms tries
 * again. Threads: any may start and wait; init and end belong to the owner of the bus.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct bus_move {
    const char *name; /* the bus's; borrowed */
    void (*try)(void *ctx);
    void *ctx;
    pthread_mutex_t lock; /* guards what follows, for moments only */
    pthread_cond_t ended;
    pthread_t thread;
    bool is_running, is_to_join;
    int64_t tried_ms; /* when the last one was started */
    uint64_t tried_version;
};

void bus_move_init(struct bus_move *self, const char *name, void (*try)(void *ctx), void *ctx);
/* Waits for a try that is under way. */
void bus_move_end(struct bus_move *self);

/* Starts a try, at once for a version that was not tried yet, else rest_ms after the last one;
 * false: there is none to be started now. */
bool bus_move_start(struct bus_move *self, uint64_t version, int64_t rest_ms);
/* Until the try has ended, wait_ms at most. */
void bus_move_wait(struct bus_move *self, int64_t wait_ms);
