#include "clients/bus_move.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <nats/nats.h>
#include <time.h>

void bus_move_init(struct bus_move *self, const char *name, void (*try)(void *ctx), void *ctx)
{
    *self = (struct bus_move){.name = name, .try = try, .ctx = ctx};
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->ended, NULL);
}

void bus_move_end(struct bus_move *self)
{
    if (self->is_to_join)
        pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->ended);
    pthread_mutex_destroy(&self->lock);
}

static void *on_thread(void *ctx)
{
    struct bus_move *self = ctx;

    self->try(self->ctx);
    nats_ReleaseThreadMemory();
    pthread_mutex_lock(&self->lock);
    self->is_running = false;
    pthread_cond_broadcast(&self->ended);
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* The thread before has nothing left to do: joining it waits for nothing. */
static bool start(struct bus_move *self)
{
    if (self->is_to_join)
        pthread_join(self->thread, NULL);
    self->is_to_join = pthread_create(&self->thread, NULL, on_thread, self) == 0;
    if (!self->is_to_join)
        log_warn("nats_connect_failed", "name=\"%s\" why=\"no thread\"", self->name);
    return self->is_to_join;
}

bool bus_move_start(struct bus_move *self, uint64_t version, int64_t rest_ms)
{
    int64_t now_ms = clock_now_ms();
    bool is_started = false;

    pthread_mutex_lock(&self->lock);
    if (!self->is_running &&
        (version != self->tried_version || now_ms - self->tried_ms >= rest_ms)) {
        self->tried_version = version;
        self->tried_ms = now_ms;
        is_started = start(self);
        self->is_running = is_started;
    }
    pthread_mutex_unlock(&self->lock);
    return is_started;
}

void bus_move_wait(struct bus_move *self, int64_t wait_ms)
{
    struct timespec until;
    int64_t until_ms = clock_now_ms() + wait_ms;
    int status = 0;

    until.tv_sec = (time_t)(until_ms / 1000);
    until.tv_nsec = (long)(until_ms % 1000) * 1000000L;
    pthread_mutex_lock(&self->lock);
    while (self->is_running && status == 0)
        status = pthread_cond_clockwait(&self->ended, &self->lock, CLOCK_MONOTONIC, &until);
    pthread_mutex_unlock(&self->lock);
}
