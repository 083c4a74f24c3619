#include "stopper.h"

#include <time.h>

void monotonic_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct timespec monotonic_until(int64_t wait_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return until;
}

void stopper_init(struct stopper *stopper)
{
    *stopper = (struct stopper){.is_stopped = false};
    pthread_mutex_init(&stopper->lock, NULL);
    monotonic_cond_init(&stopper->changed);
}

void stopper_free(struct stopper *stopper)
{
    pthread_cond_destroy(&stopper->changed);
    pthread_mutex_destroy(&stopper->lock);
}

void stopper_stop(struct stopper *stopper)
{
    pthread_mutex_lock(&stopper->lock);
    stopper->is_stopped = true;
    pthread_cond_signal(&stopper->changed);
    pthread_mutex_unlock(&stopper->lock);
}

void stopper_wake(struct stopper *stopper)
{
    pthread_mutex_lock(&stopper->lock);
    stopper->is_woken = true;
    pthread_cond_signal(&stopper->changed);
    pthread_mutex_unlock(&stopper->lock);
}

bool stopper_is_stopped(struct stopper *stopper)
{
    bool is_stopped;

    pthread_mutex_lock(&stopper->lock);
    is_stopped = stopper->is_stopped;
    pthread_mutex_unlock(&stopper->lock);
    return is_stopped;
}

bool stopper_wait(struct stopper *stopper, int64_t wait_ms)
{
    const struct timespec until = monotonic_until(wait_ms);
    int status = 0;
    bool is_stopped;

    pthread_mutex_lock(&stopper->lock);
    while (!stopper->is_stopped && !stopper->is_woken && status == 0)
        status = pthread_cond_timedwait(&stopper->changed, &stopper->lock, &until);
    stopper->is_woken = false;
    is_stopped = stopper->is_stopped;
    pthread_mutex_unlock(&stopper->lock);
    return !is_stopped;
}
