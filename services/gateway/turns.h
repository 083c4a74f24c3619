/*
 * turns.h — two threads use one thing, by turns
 *
 * Why:     a mutex is no queue: whoever takes it again at once has it before the other has woken
 *          up. On a disk slower than what comes, the writer of a spool would keep the replayer away
 *          for as long as it has something to write.
 * Shape:   a turn goes to the other side if it waits, and else to whoever asks.
 * Memory:  embedded in its owner.
 * Threads: one on each side.
 */
#pragma once

#include "base/error.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum turn_side { TURN_WRITER, TURN_REPLAYER, TURN_SIDE_COUNT };

struct turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    bool is_taken;
    bool is_wanted[TURN_SIDE_COUNT]; /* a thread waits on this side */
    enum turn_side last;
};

void turns_init(struct turns *self);
void turns_free(struct turns *self);

/* As long as it takes. */
void turns_take(struct turns *self, enum turn_side side);
/* False: it was not this side's turn within wait_ms. */
MUST_CHECK bool turns_take_within(struct turns *self, enum turn_side side, int64_t wait_ms);
void turns_end(struct turns *self);
