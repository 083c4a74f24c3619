#include "check.h"

#include "keep_line.h"
#include "runtime/clock.h"
#include "stopper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_BYTES = 1 << 20, WAIT_MS = 10000, JOBS = 64 };

/* A store that stands still until the test opens its gate, and remembers what came. */
struct store {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_shut;
    int waiting; /* writes that stand at the gate */
    size_t groups, jobs;
    size_t largest_group;
    enum error_kind fail_with;
};

static bool write_jobs(void *ctx, const struct keep_job *jobs, struct error *err)
{
    struct store *store = ctx;
    size_t count = 0;
    enum error_kind kind;

    for (; jobs != NULL; jobs = jobs->next)
        count++;
    pthread_mutex_lock(&store->lock);
    store->waiting++;
    pthread_cond_broadcast(&store->changed);
    while (store->is_shut)
        pthread_cond_wait(&store->changed, &store->lock);
    store->waiting--;
    store->groups++;
    store->jobs += count;
    if (count > store->largest_group)
        store->largest_group = count;
    kind = store->fail_with;
    pthread_mutex_unlock(&store->lock);
    return kind == ERROR_NONE || error_set(err, kind, "store: as the test says");
}

static void store_init(struct store *store, bool is_shut)
{
    *store = (struct store){.is_shut = is_shut};
    pthread_mutex_init(&store->lock, NULL);
    monotonic_cond_init(&store->changed);
}

static void store_await_write(struct store *store)
{
    const struct timespec until = monotonic_until(WAIT_MS);
    int status = 0;

    pthread_mutex_lock(&store->lock);
    while (store->waiting == 0 && status == 0)
        status = pthread_cond_timedwait(&store->changed, &store->lock, &until);
    pthread_mutex_unlock(&store->lock);
    assert_int_equal(status, 0);
}

static void store_open_gate(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->is_shut = false;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

static struct keep_line *line_over(struct store *store, size_t queue_max_bytes)
{
    struct error err = {0};
    struct keep_line *line = keep_line_open(
        &(struct keep_line_options){
            .name = "test", .store = {write_jobs, store}, .queue_max_bytes = queue_max_bytes},
        &err);

    if (line == NULL)
        fail_msg("%s", err.text);
    return line;
}

struct told {
    struct keep_job job; /* first: on_done casts back */
    atomic_int count;
    struct error result;
};

static void on_done(struct keep_job *job, const struct error *result)
{
    struct told *told = (struct told *)job;

    told->result = *result;
    (void)atomic_fetch_add(&told->count, 1);
}

static void told_init(struct told *told, size_t size_bytes, int64_t deadline_ms)
{
    *told = (struct told){.job = {.batch = {.bytes = (const uint8_t *)"", .size_bytes = size_bytes},
                                  .deadline_ms = deadline_ms,
                                  .on_done = on_done}};
}

static int64_t soon(void)
{
    return clock_now_ms() + WAIT_MS;
}

TEST(what_waits_is_written_in_one_transaction)
{
    struct store store;
    struct told told[JOBS];
    struct keep_line *line;

    store_init(&store, true);
    line = line_over(&store, QUEUE_BYTES);
    told_init(&told[0], 10, soon());
    assert_ok(keep_line_submit(line, &told[0].job, err));
    store_await_write(&store);
    for (size_t i = 1; i < JOBS; i++) {
        told_init(&told[i], 10, soon());
        assert_ok(keep_line_submit(line, &told[i].job, err));
    }
    store_open_gate(&store);
    keep_line_close(&line);

    assert_int_equal(store.groups, 2);
    assert_int_equal(store.jobs, JOBS);
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(atomic_load(&told[i].count), 1);
        assert_int_equal(told[i].result.kind, ERROR_NONE);
    }
}

TEST(a_transaction_has_at_most_so_many_bytes)
{
    struct store store;
    struct told told[4];
    struct keep_line *line;

    store_init(&store, true);
    line = line_over(&store, (size_t)KEEP_GROUP_MAX_BYTES * 8);
    told_init(&told[0], 1, soon());
    assert_ok(keep_line_submit(line, &told[0].job, err));
    store_await_write(&store);
    for (size_t i = 1; i < 4; i++) { /* two fit, three do not; one that is too large goes alone */
        told_init(&told[i], i == 3 ? (size_t)KEEP_GROUP_MAX_BYTES * 2 : KEEP_GROUP_MAX_BYTES / 2,
                  soon());
        assert_ok(keep_line_submit(line, &told[i].job, err));
    }
    store_open_gate(&store);
    keep_line_close(&line);

    assert_int_equal(store.groups, 3);
    assert_int_equal(store.largest_group, 2);
    assert_int_equal(store.jobs, 4);
}

TEST(a_full_queue_refuses_at_once_and_takes_nothing)
{
    struct store store;
    struct told told[3];
    struct keep_line *line;

    store_init(&store, true);
    line = line_over(&store, 100);
    for (size_t i = 0; i < 3; i++)
        told_init(&told[i], 60, soon());
    assert_ok(keep_line_submit(line, &told[0].job, err));
    store_await_write(&store);
    assert_ok(keep_line_submit(line, &told[1].job, err));
    assert_fails(ERROR_LIMIT, keep_line_submit(line, &told[2].job, err));
    store_open_gate(&store);
    keep_line_close(&line);

    assert_int_equal(atomic_load(&told[2].count), 0);
    assert_int_equal(store.jobs, 2);
}

TEST(a_job_whose_time_is_up_before_its_turn_is_not_written)
{
    struct store store;
    struct told told[2];
    struct keep_line *line;

    store_init(&store, false);
    line = line_over(&store, QUEUE_BYTES);
    told_init(&told[0], 10, clock_now_ms() - 1);
    told_init(&told[1], 10, soon());
    assert_ok(keep_line_submit(line, &told[0].job, err));
    assert_ok(keep_line_submit(line, &told[1].job, err));
    keep_line_close(&line);

    assert_int_equal(told[0].result.kind, ERROR_UNAVAILABLE);
    assert_int_equal(told[1].result.kind, ERROR_NONE);
    assert_int_equal(store.jobs, 1);
}

TEST(a_store_that_refuses_is_told_to_every_job_by_its_kind)
{
    struct store store;
    struct told told[2];
    struct keep_line *line;

    store_init(&store, false);
    store.fail_with = ERROR_LIMIT;
    line = line_over(&store, QUEUE_BYTES);
    for (size_t i = 0; i < 2; i++) {
        told_init(&told[i], 10, soon());
        assert_ok(keep_line_submit(line, &told[i].job, err));
    }
    keep_line_close(&line);

    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&told[i].count), 1);
        assert_int_equal(told[i].result.kind, ERROR_LIMIT);
    }
}

TEST(a_job_that_waits_can_be_taken_back_and_one_that_is_written_cannot)
{
    struct store store;
    struct told told[4];
    struct keep_line *line;

    store_init(&store, true);
    line = line_over(&store, QUEUE_BYTES);
    for (size_t i = 0; i < 4; i++)
        told_init(&told[i], 10, soon());
    assert_ok(keep_line_submit(line, &told[0].job, err));
    store_await_write(&store);
    assert_ok(keep_line_submit(line, &told[1].job, err));
    assert_ok(keep_line_submit(line, &told[2].job, err));

    assert_false(keep_line_withdraw(line, &told[0].job));
    assert_true(keep_line_withdraw(line, &told[2].job)); /* the last one: the queue goes on */
    assert_false(keep_line_withdraw(line, &told[2].job));
    assert_ok(keep_line_submit(line, &told[3].job, err));
    store_open_gate(&store);
    keep_line_close(&line);

    assert_int_equal(atomic_load(&told[2].count), 0);
    assert_int_equal(atomic_load(&told[3].count), 1);
    assert_int_equal(store.jobs, 3);
}

TEST(a_store_that_hangs_is_not_waited_for)
{
    struct store store;
    struct told told[2];
    struct keep_line *line;
    int64_t deadline_ms = clock_now_ms() + WAIT_MS;
    struct error why = {0};
    bool is_taken = true;

    store_init(&store, true);
    line = line_over(&store, QUEUE_BYTES);
    told_init(&told[0], 10, soon());
    told_init(&told[1], 10, soon());
    assert_ok(keep_line_submit(line, &told[0].job, err));
    store_await_write(&store);
    while (is_taken && clock_now_ms() < deadline_ms) {
        is_taken = keep_line_submit(line, &told[1].job, &why);
        if (is_taken)
            assert_true(keep_line_withdraw(line, &told[1].job));
        clock_sleep_ms(10);
    }
    store_open_gate(&store);
    keep_line_close(&line);

    assert_false(is_taken);
    assert_int_equal(why.kind, ERROR_UNAVAILABLE);
    assert_int_equal(told[0].result.kind, ERROR_NONE);
}

enum { THREADS = 4, EACH = 500 };

struct producer {
    struct keep_line *line;
    struct told told[EACH];
    int taken;
};

static void *produce(void *ctx)
{
    struct producer *self = ctx;
    struct error err;

    for (size_t i = 0; i < EACH; i++) {
        told_init(&self->told[i], 10, soon());
        if (keep_line_submit(self->line, &self->told[i].job, &err))
            self->taken++;
        if (i % 7 == 0 && keep_line_withdraw(self->line, &self->told[i].job))
            self->taken--;
    }
    return NULL;
}

TEST(every_job_of_many_threads_is_told_exactly_once)
{
    static struct producer producers[THREADS];
    pthread_t threads[THREADS];
    struct store store;
    struct keep_line *line;
    int told = 0;
    int taken = 0;

    store_init(&store, false);
    line = line_over(&store, QUEUE_BYTES);
    for (size_t i = 0; i < THREADS; i++) {
        producers[i].line = line;
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    keep_line_close(&line);

    for (size_t i = 0; i < THREADS; i++) {
        taken += producers[i].taken;
        for (size_t j = 0; j < EACH; j++)
            told += atomic_load(&producers[i].told[j].count);
    }
    assert_int_equal(told, taken);
    assert_int_equal(store.jobs, taken);
}

TESTS(RUN(what_waits_is_written_in_one_transaction), RUN(a_transaction_has_at_most_so_many_bytes),
      RUN(a_full_queue_refuses_at_once_and_takes_nothing),
      RUN(a_job_whose_time_is_up_before_its_turn_is_not_written),
      RUN(a_store_that_refuses_is_told_to_every_job_by_its_kind),
      RUN(a_job_that_waits_can_be_taken_back_and_one_that_is_written_cannot),
      RUN(a_store_that_hangs_is_not_waited_for),
      RUN(every_job_of_many_threads_is_told_exactly_once))
