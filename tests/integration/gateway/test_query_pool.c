#include "check.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "query_pool.h"
#include "runtime/clock.h"
#include "servers.h"

enum { QUERY_MS = 1000, WAITING = 20, TURN_MS = 10, DONE_MS = 30000, REPEATS = 3 };

/* Counts what came back, by its kind. */
struct seen {
    int run, done, good, limited;
};

/* One thread that asks a server for a loop. */
struct bench {
    struct server *postgres;
    h2o_loop_t *loop;
    h2o_multithread_queue_t *queue;
    h2o_multithread_receiver_t receiver;
    struct query_pool *pool;
};

static void bench_open(struct bench *bench, struct error *err)
{
    struct query_pool_options options = {.name = QUERY_POOL_QUERY,
                                         .application = "test",
                                         .what = "test",
                                         .threads = 1,
                                         .queue_max = WAITING + 1,
                                         .connect_ms = 5000,
                                         .query_ms = QUERY_MS,
                                         .slow_ms = 2 * QUERY_MS};

    bench->postgres = server_open_postgres();
    options.postgres = server_endpoint(bench->postgres);
    bench->loop = h2o_evloop_create();
    bench->queue = h2o_multithread_create_queue(bench->loop);
    h2o_multithread_register_receiver(bench->queue, &bench->receiver, query_pool_receive);
    bench->pool = query_pool_open(&options, err);
    assert_non_null(bench->pool);
}

static void bench_close(struct bench *bench)
{
    query_pool_close(&bench->pool);
    h2o_multithread_unregister_receiver(bench->queue, &bench->receiver);
    h2o_multithread_destroy_queue(bench->queue);
    h2o_evloop_destroy(bench->loop);
    server_close(&bench->postgres);
}

static void on_done(struct query_job *job)
{
    struct seen *seen = job->ctx;

    seen->done++;
    seen->good += job->result.kind == ERROR_NONE;
    seen->limited += job->result.kind == ERROR_LIMIT;
}

static void submit(struct bench *bench, struct query_job *job,
                   void (*run)(struct pg *pg, struct query_job *job), struct seen *seen,
                   struct error *err)
{
    *job =
        (struct query_job){.receiver = &bench->receiver, .run = run, .done = on_done, .ctx = seen};
    assert_ok(query_pool_submit(bench->pool, job, err));
}

static void turn_until_done(const struct bench *bench, const struct seen *seen, int count)
{
    int64_t deadline_ms = clock_now_ms() + DONE_MS;

    while (seen->done < count && clock_now_ms() < deadline_ms)
        (void)h2o_evloop_run(bench->loop, TURN_MS);
    assert_int_equal(seen->done, count);
}

static void ask(struct pg *pg, struct query_job *job, const char *sql)
{
    struct seen *seen = job->ctx;

    seen->run++; /* one thread alone */
    if (query_has_time(pg, job->deadline_ms, &job->result) &&
        !pg_query(pg, NULL, sql, NULL, 0, NULL, &job->result))
        assert_int_not_equal(job->result.kind, ERROR_NONE);
}

static void ask_slowly(struct pg *pg, struct query_job *job)
{
    ask(pg, job, "SELECT pg_sleep(0.8)");
}

static void ask_at_once(struct pg *pg, struct query_job *job)
{
    ask(pg, job, "SELECT 1");
}

TEST(a_job_that_waited_for_a_thread_is_not_held_against_postgresql)
{
    AUTO(bench_close) struct bench bench = {0};
    struct query_job jobs[WAITING + 1];
    struct seen seen = {0};

    bench_open(&bench, err);
    for (size_t i = 0; i <= WAITING; i++)
        submit(&bench, &jobs[i], ask_slowly, &seen, err);
    turn_until_done(&bench, &seen, WAITING + 1);
    assert_int_equal(seen.run, 1);
    assert_int_equal(seen.good, 1);
    assert_int_equal(seen.limited, WAITING);
}

TEST(a_job_after_a_rest_does_not_meet_a_connection_that_has_ended)
{
    AUTO(bench_close) struct bench bench = {0};
    struct query_job job;
    struct seen seen = {0};

    bench_open(&bench, err);
    submit(&bench, &job, ask_at_once, &seen, err);
    turn_until_done(&bench, &seen, 1);
    for (int i = 2; i <= REPEATS; i++) {
        server_kill(bench.postgres);
        server_start(bench.postgres);
        submit(&bench, &job, ask_at_once, &seen, err);
        turn_until_done(&bench, &seen, i);
        assert_int_equal(seen.good, i);
    }
}

TESTS(RUN(a_job_that_waited_for_a_thread_is_not_held_against_postgresql),
      RUN(a_job_after_a_rest_does_not_meet_a_connection_that_has_ended))
