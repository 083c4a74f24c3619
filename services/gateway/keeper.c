#include "keeper.h"

#include "base/auto.h"
#include "metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "stopper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CLOSE_TICK_MS = 20 };

struct keeper {
    struct keeper_options options;
    struct keeper_events events;
    struct batch *first; /* what is here */
    size_t out_count;    /* jobs that the lines have */

    /* The hand-over. */
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    atomic_bool has_done; /* lets the loop look without the lock */
    struct stay *done;
    bool is_closed;
};

/* The path of a batch; the definitions follow in this order. */
static void ask(struct keeper *self, struct batch *batch, enum keep_stop stop, int64_t now_ms);
static void on_line_done(struct keep_job *job, const struct error *result);
static void take_answer(struct keeper *self, struct stay *stay, int64_t now_ms);
static void go_on(struct keeper *self, struct batch *batch, int64_t now_ms);
static void settle(struct keeper *self, struct batch *batch, enum batch_outcome outcome);
static void release(struct keeper *self, struct batch *batch);

struct keeper *keeper_new(const struct keeper_options *options, struct error *err)
{
    struct keeper *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "keeper: no memory");
        return NULL;
    }
    self->options = *options;
    pthread_mutex_init(&self->lock, NULL);
    monotonic_cond_init(&self->arrived);
    return self;
}

void keeper_on(struct keeper *self, const struct keeper_events *events)
{
    self->events = *events;
}

static bool await_answer(struct keeper *self, int64_t wait_ms)
{
    struct timespec until = monotonic_until(wait_ms);

    pthread_mutex_lock(&self->lock);
    while (self->done == NULL && pthread_cond_timedwait(&self->arrived, &self->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&self->lock);
    return atomic_load(&self->has_done);
}

/* Whoever has no verdict yet gets one. */
static void settle_rest(struct keeper *self)
{
    struct batch *next;

    for (struct batch *batch = self->first; batch != NULL; batch = next) {
        next = batch->next;
        if (!batch->has_verdict)
            settle(self, batch, BATCH_UNAVAILABLE);
    }
}

void keeper_close(struct keeper **keeper)
{
    struct keeper *self = *keeper;
    int64_t until_ms = clock_now_ms() + KEEPER_CLOSE_MS;
    bool is_stuck;

    if (self == NULL)
        return;
    *keeper = NULL;
    while (self->out_count > 0 && clock_now_ms() < until_ms) {
        if (await_answer(self, CLOSE_TICK_MS))
            keeper_turn(self, clock_now_ms());
        keeper_tick(self, clock_now_ms());
    }
    settle_rest(self);
    pthread_mutex_lock(&self->lock);
    self->is_closed = true;
    pthread_mutex_unlock(&self->lock);
    is_stuck = self->out_count > 0;
    if (is_stuck) { /* a line still reads the bytes: rather a leak at exit than a use after free */
        log_warn("keeper_close_stuck", "batches=%zu waited_ms=%d", self->out_count,
                 KEEPER_CLOSE_MS);
        return;
    }
    pthread_cond_destroy(&self->arrived);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void keeper_keep(struct keeper *self, struct batch *batch, int64_t now_ms)
{
    batch->previous = NULL;
    batch->next = self->first;
    if (self->first != NULL)
        self->first->previous = batch;
    self->first = batch;
    batch->has_verdict = false;
    memset(batch->stays, 0, sizeof(batch->stays));
    go_on(self, batch, now_ms);
}

static void ask(struct keeper *self, struct batch *batch, enum keep_stop stop, int64_t now_ms)
{
    struct stay *stay = &batch->stays[stop];
    int64_t left_ms = batch->deadline_ms - now_ms;
    struct error err;

    *stay = (struct stay){
        .job = {.batch = {.thread = self->options.thread,
                          .partition = batch->partition,
                          .batch_no = batch->number,
                          .attempt_k = batch->attempt_k,
                          .events = (uint32_t)batch->count,
                          .bytes = batch->bytes,
                          .size_bytes = batch->size_bytes},
                .deadline_ms = now_ms + (stop == KEEP_SPOOL ? left_ms / 2 : left_ms),
                .on_done = on_line_done},
        .keeper = self,
        .batch = batch,
        .was_asked = true,
    };
    memcpy(stay->job.batch.gateway_id, self->options.gateway_id,
           sizeof(stay->job.batch.gateway_id));
    stay->is_out = true; /* its answer may come before keep_line_submit returns */
    if (keep_line_submit(self->options.lines[stop], &stay->job, &err)) {
        self->out_count++;
        return;
    }
    stay->is_out = false;
    log_debug("keep_refused", "line=%d batch=%llu why=\"%s\"", (int)stop,
              (unsigned long long)batch->number, err.text);
}

/* The line's thread. The stay is the loop's again as soon as it is in the list. */
static void on_line_done(struct keep_job *job, const struct error *result)
{
    struct stay *stay = (struct stay *)job;
    struct keeper *self = stay->keeper;

    pthread_mutex_lock(&self->lock);
    stay->result = result->kind;
    stay->next_done = self->done;
    self->done = stay;
    atomic_store(&self->has_done, true);
    pthread_cond_signal(&self->arrived);
    if (!self->is_closed)
        self->options.wake(self->options.ctx);
    pthread_mutex_unlock(&self->lock);
}

void keeper_turn(struct keeper *self, int64_t now_ms)
{
    struct stay *done;

    if (!atomic_load_explicit(&self->has_done, memory_order_acquire))
        return;
    pthread_mutex_lock(&self->lock);
    done = TAKE(self->done);
    atomic_store(&self->has_done, false);
    pthread_mutex_unlock(&self->lock);
    while (done != NULL) {
        struct stay *stay = done;

        done = stay->next_done;
        take_answer(self, stay, now_ms);
    }
}

static void take_answer(struct keeper *self, struct stay *stay, int64_t now_ms)
{
    struct batch *batch = stay->batch;
    size_t stop = (size_t)(stay - batch->stays);

    stay->is_out = false;
    self->out_count--;
    if (stay->result == ERROR_NONE && batch->has_verdict)
        gateway_count(GATEWAY_batches_kept_late_total, 1);
    if (batch->has_verdict) {
        release(self, batch);
    } else if (stay->result == ERROR_NONE) {
        gateway_count_by(GATEWAY_batches_kept_total, stop, 1);
        settle(self, batch, BATCH_KEPT);
    } else {
        go_on(self, batch, now_ms);
    }
}

/* True: the line has not begun with it, and gives it back. */
static void withdraw(struct keeper *self, struct batch *batch, enum keep_stop stop)
{
    struct stay *stay = &batch->stays[stop];

    if (!stay->is_out || !keep_line_withdraw(self->options.lines[stop], &stay->job))
        return;
    stay->is_out = false;
    self->out_count--;
}

/* To the next line that has not been asked; without one and without an answer to wait for, the
 * batch is given up. */
static void go_on(struct keeper *self, struct batch *batch, int64_t now_ms)
{
    bool is_out = false;

    for (enum keep_stop stop = 0; stop < KEEP_STOP_COUNT && now_ms < batch->deadline_ms; stop++) {
        struct stay *stay = &batch->stays[stop];

        if (!stay->was_asked)
            ask(self, batch, stop, now_ms);
        if (stay->is_out && (stop == KEEP_INBOX || now_ms < stay->job.deadline_ms))
            return;
        is_out = is_out || stay->is_out;
    }
    if (!is_out || now_ms >= batch->deadline_ms)
        settle(self, batch, BATCH_UNAVAILABLE);
}

static void settle(struct keeper *self, struct batch *batch, enum batch_outcome outcome)
{
    batch->has_verdict = true;
    for (enum keep_stop stop = 0; stop < KEEP_STOP_COUNT; stop++)
        withdraw(self, batch, stop);
    self->events.on_settled(self->events.ctx, batch, outcome);
    release(self, batch);
}

/* Once no line reads its bytes any more. */
static void release(struct keeper *self, struct batch *batch)
{
    for (enum keep_stop stop = 0; stop < KEEP_STOP_COUNT; stop++) {
        if (batch->stays[stop].is_out)
            return;
    }
    if (batch->previous != NULL)
        batch->previous->next = batch->next;
    else
        self->first = batch->next;
    if (batch->next != NULL)
        batch->next->previous = batch->previous;
    batch->next = batch->previous = NULL;
    self->events.on_released(self->events.ctx, batch);
}

void keeper_tick(struct keeper *self, int64_t now_ms)
{
    struct batch *next;

    for (struct batch *batch = self->first; batch != NULL; batch = next) {
        struct stay *spool = &batch->stays[KEEP_SPOOL];

        next = batch->next;
        if (batch->has_verdict)
            continue;
        if (now_ms >= spool->job.deadline_ms)
            withdraw(self, batch, KEEP_SPOOL);
        if (now_ms >= spool->job.deadline_ms || now_ms >= batch->deadline_ms)
            go_on(self, batch, now_ms);
    }
}
