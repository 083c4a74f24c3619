/*
 * A job, from its loop and back:
 *
 *   query_pool_submit   (loop thread)  into the queue
 *   serve               (pool thread)  out of it, run, send the job home
 *   query_pool_receive  (loop thread)  done
 *
 * The job belongs to one of them at a time; handing it over hands over the memory.
 */
#include "query_pool.h"

#include "base/auto.h"
#include "clients/guard.h"
#include "clients/pg.h"
#include "metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS_MAX = 16 };

struct query_pool {
    struct query_pool_options options;
    pthread_t threads[THREADS_MAX];
    int thread_count;
    atomic_bool is_outage_told;
    pthread_mutex_t guard_lock; /* held for a verdict, never for a call */
    struct guard guard;

    /* The hand-over. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct query_job *head, **tail;
    size_t queued;
    int busy;
    bool is_stopping;
};

static void *serve(void *ctx);

/* Under the lock. */
static void show_load(const struct query_pool *self)
{
    gateway_set_by(GATEWAY_query_pool_queued, self->options.name, (double)self->queued);
    gateway_set_by(GATEWAY_query_pool_busy, self->options.name, self->busy);
}

static void init_guard(struct query_pool *self)
{
    struct guard_options options = {.dependency = GUARD_POSTGRES,
                                    .what = self->options.what,
                                    .breaker = breaker_default_options()};

    options.breaker.slow_ms = self->options.slow_ms;
    options.breaker.permit_ms = self->options.connect_ms + self->options.query_ms;
    guard_init(&self->guard, &options, (uint64_t)clock_now_us(), clock_now_ms());
}

struct query_pool *query_pool_open(const struct query_pool_options *options, struct error *err)
{
    AUTO(query_pool_close) struct query_pool *pool = calloc(1, sizeof(*pool));
    int threads = options->threads < THREADS_MAX ? options->threads : THREADS_MAX;

    if (pool == NULL || pthread_mutex_init(&pool->lock, NULL) != 0 ||
        pthread_mutex_init(&pool->guard_lock, NULL) != 0 ||
        pthread_cond_init(&pool->changed, NULL) != 0) {
        free(TAKE(pool));
        error_set(err, ERROR_LIMIT, "query_pool: no memory");
        return NULL;
    }
    pool->options = *options;
    pool->tail = &pool->head;
    init_guard(pool);
    gateway_set_by(GATEWAY_query_pool_threads, options->name, threads);
    gateway_set_by(GATEWAY_query_pool_queue_max, options->name, (double)options->queue_max);
    for (; pool->thread_count < threads; pool->thread_count++) {
        if (pthread_create(&pool->threads[pool->thread_count], NULL, serve, pool) != 0) {
            error_set(err, ERROR_LIMIT, "query_pool: no thread");
            return NULL;
        }
    }
    return TAKE(pool);
}

void query_pool_stop(struct query_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
}

void query_pool_close(struct query_pool **pool)
{
    struct query_pool *self = *pool;

    if (self == NULL)
        return;
    query_pool_stop(self);
    for (int i = 0; i < self->thread_count; i++)
        (void)pthread_join(self->threads[i], NULL);
    guard_end(&self->guard);
    (void)pthread_cond_destroy(&self->changed);
    (void)pthread_mutex_destroy(&self->guard_lock);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
    *pool = NULL;
}

bool query_pool_submit(struct query_pool *pool, struct query_job *job, struct error *err)
{
    bool has_room = false, is_stopping = false;
    size_t queued = 0;

    job->next = NULL;
    job->deadline_ms = clock_now_ms() + pool->options.query_ms;
    (void)pthread_mutex_lock(&pool->lock);
    queued = pool->queued;
    is_stopping = pool->is_stopping;
    has_room = queued < pool->options.queue_max && !is_stopping;
    if (has_room) {
        *pool->tail = job;
        pool->tail = &job->next;
        pool->queued++;
        show_load(pool);
        (void)pthread_cond_signal(&pool->changed);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (has_room)
        return true;
    if (is_stopping)
        return error_set(err, ERROR_UNAVAILABLE, "query_pool: it has been stopped");
    gateway_count_by(GATEWAY_query_pool_rejected_total, pool->options.name, 1);
    return error_set(err, ERROR_LIMIT, "query_pool: %zu jobs wait", queued);
}

/* NULL: the pool is closing and the queue is empty. */
static struct query_job *take(struct query_pool *self, bool *is_stopping)
{
    struct query_job *job = NULL;

    (void)pthread_mutex_lock(&self->lock);
    while (self->head == NULL && !self->is_stopping)
        (void)pthread_cond_wait(&self->changed, &self->lock);
    *is_stopping = self->is_stopping;
    job = self->head;
    if (job != NULL) {
        self->head = job->next;
        self->queued--;
        self->busy++;
        show_load(self);
        if (self->head == NULL)
            self->tail = &self->head;
    }
    (void)pthread_mutex_unlock(&self->lock);
    return job;
}

static void leave(struct query_pool *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->busy--;
    show_load(self);
    (void)pthread_mutex_unlock(&self->lock);
}

/* False: what is asked of PostgreSQL is given up. */
static bool on_wait(void *ctx)
{
    struct query_pool *self = ctx;
    bool is_stopping;

    (void)pthread_mutex_lock(&self->lock);
    is_stopping = self->is_stopping;
    (void)pthread_mutex_unlock(&self->lock);
    return !is_stopping;
}

bool query_has_time(struct pg *pg, int64_t deadline_ms, struct error *err)
{
    int64_t left_ms = deadline_ms - clock_now_ms();

    if (left_ms <= 0)
        return error_set(err, ERROR_UNAVAILABLE, "query_pool: no time left");
    pg_set_query_ms(pg, (int)left_ms);
    return true;
}

/* An outage is told once, by whichever thread meets it first. */
static void note(struct query_pool *self, const struct error *result)
{
    bool is_down = result->kind != ERROR_NONE && result->kind != ERROR_INVALID;

    if (atomic_exchange(&self->is_outage_told, is_down) == is_down)
        return;
    if (is_down)
        log_warn("query_postgres_failed", "why=%s", result->text);
    else
        log_info("query_postgres_answers", "threads=%d", self->thread_count);
}

static bool allow(struct query_pool *self, struct breaker_permit *out, struct error *err)
{
    bool is_allowed;

    (void)pthread_mutex_lock(&self->guard_lock);
    (void)guard_step(&self->guard, clock_now_ms());
    is_allowed = guard_allow(&self->guard, clock_now_ms(), out);
    (void)pthread_mutex_unlock(&self->guard_lock);
    return is_allowed ||
           error_set(err, ERROR_UNAVAILABLE, "query_pool: PostgreSQL's breaker is open");
}

static void report(struct query_pool *self, const struct breaker_permit *permit,
                   enum breaker_result result)
{
    (void)pthread_mutex_lock(&self->guard_lock);
    guard_report(&self->guard, permit, result, clock_now_ms());
    (void)pthread_mutex_unlock(&self->guard_lock);
}

/* Runs the job, or fills its result. pg NULL: there was no memory for it. */
static void answer(struct query_pool *self, struct pg *pg, struct query_job *job, bool is_stopping)
{
    struct breaker_permit permit;

    job->result = (struct error){ERROR_NONE, ""};
    if (pg == NULL) {
        (void)error_set(&job->result, ERROR_LIMIT, "query_pool: no memory");
        return;
    }
    if (is_stopping) {
        (void)error_set(&job->result, ERROR_UNAVAILABLE, "query_pool: it has been stopped");
        return;
    }
    if (job->deadline_ms - clock_now_ms() < self->options.query_ms / QUERY_SHARE_LEAST) {
        (void)error_set(&job->result, ERROR_LIMIT, "query_pool: waited too long for a thread");
        return;
    }
    if (!allow(self, &permit, &job->result))
        return;
    pg_drop_ended(pg);
    if (!pg_connect(pg, &job->result)) {
        report(self, &permit, pg_judge_connect(pg, &job->result));
    } else {
        job->run(pg, job);
        report(self, &permit, pg_judge(pg, job->result.kind == ERROR_NONE, &job->result));
    }
    note(self, &job->result);
}

static void *serve(void *ctx)
{
    struct query_pool *self = ctx;
    const struct pg_options options = {.endpoint = self->options.postgres,
                                       .application = self->options.application,
                                       .connect_ms = self->options.connect_ms,
                                       .query_ms = self->options.query_ms,
                                       .on_wait = on_wait,
                                       .ctx = self};
    AUTO(pg_close) struct pg *pg = pg_new(&options);
    struct query_job *job = NULL;
    bool is_stopping = false;

    while ((job = take(self, &is_stopping)) != NULL) {
        answer(self, pg, job, is_stopping);
        leave(self); /* before the job is gone: who waits for its answer sees the thread free */
        h2o_multithread_send_message(job->receiver, &job->super);
    }
    return NULL;
}

void query_pool_receive(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        h2o_multithread_message_t *message =
            H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, messages->next);
        struct query_job *job = H2O_STRUCT_FROM_MEMBER(struct query_job, super, message);

        h2o_linklist_unlink(&message->link);
        job->done(job);
    }
}
