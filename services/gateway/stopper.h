/*
 * stopper.h — lets a thread sleep between its tries, and be stopped or woken meanwhile
 *
 * Why:     the control thread and the dialer wait alike: some milliseconds, on the monotonic clock,
 *          but never a moment longer than their owner wants them.
 * Memory:  embedded in its owner, which joins the thread before it frees the stopper.
 * Threads: stopper_wait on the thread that sleeps, the rest from any.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct stopper {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopped, is_woken; /* under lock */
};

void stopper_init(struct stopper *stopper);
void stopper_free(struct stopper *stopper);

/* Ends this wait and every later one. */
void stopper_stop(struct stopper *stopper);
/* Ends this wait, or the next one. */
void stopper_wake(struct stopper *stopper);

bool stopper_is_stopped(struct stopper *stopper);

/* False: the thread is to stop. */
bool stopper_wait(struct stopper *stopper, int64_t wait_ms);

/* A condition whose timed waits are by the monotonic clock, and the end of such a wait. */
void monotonic_cond_init(pthread_cond_t *cond);
struct timespec monotonic_until(int64_t wait_ms);
