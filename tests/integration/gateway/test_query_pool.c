#include "check.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "query_pool.h"
#include "servers.h"

enum { QUERY_MS = 1000, WAITING = 20, TURN_MS = 10 };

/* Counts what came back, by its kind. */
struct seen {
    int run, done, good, limited;
};

static void on_run(struct pg *pg, struct query_job *job)
{
    struct seen *seen = job->ctx;

    seen->run++; /* one thread alone */
    if (query_has_time(pg, job->deadline_ms, &job->result) &&
        !pg_query(pg, NULL, "SELECT pg_sleep(0.8)", NULL, 0, NULL, &job->result))
        assert_int_not_equal(job->result.kind, ERROR_NONE);
}

static void on_done(struct query_job *job)
{
    struct seen *seen = job->ctx;

    seen->done++;
    seen->good += job->result.kind == ERROR_NONE;
    seen->limited += job->result.kind == ERROR_LIMIT;
}

TEST(a_job_that_waited_for_a_thread_is_not_held_against_postgresql)
{
    AUTO(server_close) struct server *postgres = server_open_postgres();
    const struct query_pool_options options = {.name = QUERY_POOL_QUERY,
                                               .postgres = server_endpoint(postgres),
                                               .application = "test",
                                               .what = "test",
                                               .threads = 1,
                                               .queue_max = WAITING + 1,
                                               .connect_ms = 5000,
                                               .query_ms = QUERY_MS,
                                               .slow_ms = 2 * QUERY_MS};
    h2o_loop_t *loop = h2o_evloop_create();
    h2o_multithread_queue_t *queue = h2o_multithread_create_queue(loop);
    AUTO(query_pool_close) struct query_pool *pool = query_pool_open(&options, err);
    h2o_multithread_receiver_t receiver;
    struct query_job jobs[WAITING + 1] = {0};
    struct seen seen = {0};

    assert_non_null(pool);
    h2o_multithread_register_receiver(queue, &receiver, query_pool_receive);
    for (size_t i = 0; i <= WAITING; i++) {
        jobs[i] =
            (struct query_job){.receiver = &receiver, .run = on_run, .done = on_done, .ctx = &seen};
        assert_ok(query_pool_submit(pool, &jobs[i], err));
    }
    while (seen.done <= WAITING)
        (void)h2o_evloop_run(loop, TURN_MS);
    assert_int_equal(seen.run, 1);
    assert_int_equal(seen.good, 1);
    assert_int_equal(seen.limited, WAITING);

    query_pool_close(&pool);
    h2o_multithread_unregister_receiver(queue, &receiver);
    h2o_multithread_destroy_queue(queue);
    h2o_evloop_destroy(loop);
}

TESTS(RUN(a_job_that_waited_for_a_thread_is_not_held_against_postgresql))
