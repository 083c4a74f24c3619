/*
 * A job, from whoever submits it and back:
 *
 *   keep_line_submit  (any thread)     into the queue
 *   take_group        (line's thread)  out of it, together with what else waits
 *   write_group       (line's thread)  late ones are told so, the others written and told
 */
#include "keep_line.h"

#include "base/auto.h"
#include "runtime/clock.h"
#include "stopper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

/* Index of keep_result_names. */
enum keep_result { RESULT_KEPT, RESULT_FULL, RESULT_FAILED, RESULT_LATE, RESULT_REFUSED };

struct keep_line {
    struct keep_line_options options;
    pthread_t thread;
    bool has_thread;

    /* The hand-over. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct keep_job *head, **tail;
    size_t queued_bytes;
    int64_t writing_since_ms; /* 0: nothing is being written */
    bool is_stopping;
};

static void *on_thread(void *ctx);
static struct keep_job *take_group(struct keep_line *self);
static void write_group(struct keep_line *self, struct keep_job *jobs);

struct keep_line *keep_line_open(const struct keep_line_options *options, struct error *err)
{
    AUTO(keep_line_close) struct keep_line *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "%s: no memory", options->name);
        return NULL;
    }
    self->options = *options;
    self->tail = &self->head;
    pthread_mutex_init(&self->lock, NULL);
    monotonic_cond_init(&self->changed);
    if (pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        error_set(err, ERROR_LIMIT, "%s: no thread", options->name);
        return NULL;
    }
    self->has_thread = true;
    (void)pthread_setname_np(self->thread, options->name); /* for whoever looks at the process */
    return TAKE(self);
}

void keep_line_close(struct keep_line **line)
{
    struct keep_line *self = *line;

    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->lock);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *line = NULL;
}

/* The gauge is set under the lock, so that it never shows an older number for good. */
static void set_queued(struct keep_line *self, size_t queued_bytes)
{
    self->queued_bytes = queued_bytes;
    gateway_set(self->options.queue, (double)queued_bytes);
}

static bool check_room(const struct keep_line *self, size_t size_bytes, struct error *err)
{
    const char *name = self->options.name;

    if (self->is_stopping)
        return error_set(err, ERROR_UNAVAILABLE, "%s: is closing", name);
    if (self->writing_since_ms != 0 && clock_now_ms() - self->writing_since_ms > KEEP_STUCK_MS)
        return error_set(err, ERROR_UNAVAILABLE, "%s: a write has not ended for %d ms", name,
                         KEEP_STUCK_MS);
    if (size_bytes > self->options.queue_max_bytes - self->queued_bytes)
        return error_set(err, ERROR_LIMIT, "%s: more than %zu bytes wait", name,
                         self->options.queue_max_bytes);
    return true;
}

bool keep_line_submit(struct keep_line *self, struct keep_job *job, struct error *err)
{
    bool is_taken;

    pthread_mutex_lock(&self->lock);
    is_taken = check_room(self, job->batch.size_bytes, err);
    if (is_taken) {
        job->next = NULL;
        *self->tail = job;
        self->tail = &job->next;
        set_queued(self, self->queued_bytes + job->batch.size_bytes);
        pthread_cond_signal(&self->changed);
    }
    pthread_mutex_unlock(&self->lock);
    if (!is_taken)
        gateway_count_by(self->options.writes, RESULT_REFUSED, 1);
    return is_taken;
}

bool keep_line_withdraw(struct keep_line *self, struct keep_job *job)
{
    struct keep_job **link = &self->head;
    bool is_found;

    pthread_mutex_lock(&self->lock);
    while (*link != NULL && *link != job)
        link = &(*link)->next;
    is_found = *link != NULL;
    if (is_found) {
        *link = job->next;
        if (job->next == NULL)
            self->tail = link;
        set_queued(self, self->queued_bytes - job->batch.size_bytes);
    }
    pthread_mutex_unlock(&self->lock);
    if (is_found)
        gateway_count_by(self->options.writes, RESULT_LATE, 1);
    return is_found;
}

int64_t keep_jobs_deadline_ms(const struct keep_job *jobs)
{
    int64_t latest_ms = jobs->deadline_ms;

    for (; jobs != NULL; jobs = jobs->next) {
        if (jobs->deadline_ms > latest_ms)
            latest_ms = jobs->deadline_ms;
    }
    return latest_ms;
}

static void *on_thread(void *ctx)
{
    struct keep_line *self = ctx;
    struct keep_job *jobs;

    while ((jobs = take_group(self)) != NULL)
        write_group(self, jobs);
    return NULL;
}

/* The first of the queue, up to what one transaction takes; at least one. */
static struct keep_job *cut_group(struct keep_line *self)
{
    struct keep_job *jobs = self->head;
    struct keep_job *last = jobs;
    size_t bytes = jobs->batch.size_bytes;

    for (size_t count = 1; count < KEEP_GROUP_MAX && last->next != NULL; count++) {
        if (bytes + last->next->batch.size_bytes > KEEP_GROUP_MAX_BYTES)
            break;
        last = last->next;
        bytes += last->batch.size_bytes;
    }
    self->head = last->next;
    if (self->head == NULL)
        self->tail = &self->head;
    last->next = NULL;
    set_queued(self, self->queued_bytes - bytes);
    return jobs;
}

/* Waits for work without a deadline: closing wakes it. NULL: the line closes and nothing waits. */
static struct keep_job *take_group(struct keep_line *self)
{
    struct keep_job *jobs = NULL;

    pthread_mutex_lock(&self->lock);
    self->writing_since_ms = 0;
    while (self->head == NULL && !self->is_stopping)
        pthread_cond_wait(&self->changed, &self->lock);
    if (self->head != NULL) {
        jobs = cut_group(self);
        self->writing_since_ms = clock_now_ms();
    }
    pthread_mutex_unlock(&self->lock);
    return jobs;
}

/* A job is gone once it has been told. */
static void tell(struct keep_line *self, struct keep_job *jobs, enum keep_result label,
                 const struct error *result)
{
    int64_t count = 0;

    while (jobs != NULL) {
        struct keep_job *job = jobs;

        jobs = job->next;
        count++;
        job->on_done(job, result);
    }
    gateway_count_by(self->options.writes, label, count);
}

/* Takes the jobs whose time is up out of the list. */
static struct keep_job *split_late(struct keep_job **jobs, int64_t now_ms)
{
    struct keep_job *late = NULL;
    struct keep_job **link = jobs;

    while (*link != NULL) {
        struct keep_job *job = *link;

        if (now_ms < job->deadline_ms) {
            link = &job->next;
            continue;
        }
        *link = job->next;
        job->next = late;
        late = job;
    }
    return late;
}

static void write_group(struct keep_line *self, struct keep_job *jobs)
{
    struct keep_job *late = split_late(&jobs, clock_now_ms());
    struct error result = {0};

    if (late != NULL) {
        (void)error_set(&result, ERROR_UNAVAILABLE, "%s: not its turn in time", self->options.name);
        tell(self, late, RESULT_LATE, &result);
    }
    if (jobs == NULL)
        return;
    result = (struct error){0};
    if (self->options.store.write(self->options.store.ctx, jobs, &result)) {
        result = (struct error){0};
        tell(self, jobs, RESULT_KEPT, &result);
        return;
    }
    tell(self, jobs, result.kind == ERROR_LIMIT ? RESULT_FULL : RESULT_FAILED, &result);
}
