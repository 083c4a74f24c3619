/*
 * The keeper trims a real stream: below both positions, and nothing that a late copy may repeat.
 */
#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "keeper.h"
#include "meters.h"
#include "schema.h"

enum { DEDUP_MS = 1000, MARGIN_MS = 5000, DEADLINE_MS = 20000, STEP_MS = 50 };

struct bench {
    struct server *nats, *redis_server, *pg_server;
    struct bus *bus;
    struct redis *redis;
    struct pg *pg;
    struct metrics *metrics;
    struct keeper *keeper;
};

static void bench_close(struct bench *bench)
{
    keeper_close(&bench->keeper);
    metrics_free(&bench->metrics);
    pg_close(&bench->pg);
    redis_close(&bench->redis);
    bus_close(&bench->bus);
    server_close(&bench->pg_server);
    server_close(&bench->redis_server);
    server_close(&bench->nats);
}

static bool on_progress(void *ctx)
{
    (void)ctx;
    return true;
}

static void open_keeper(struct bench *bench, struct error *err)
{
    const struct keeper_options options = {.partition_count = 1,
                                           .bus = bench->bus,
                                           .metrics = bench->metrics,
                                           .redis = server_endpoint(bench->redis_server),
                                           .postgres = server_endpoint(bench->pg_server),
                                           .connect_ms = 2000,
                                           .redis_ms = 5000,
                                           .pg_ms = 5000,
                                           .trim_interval_ms = 100,
                                           .dedup_window_ms = DEDUP_MS,
                                           .on_progress = on_progress};

    bench->keeper = keeper_open(&options, err);
    assert_non_null(bench->keeper);
}

/* A stream of ten messages. */
static struct bench bench_open(struct stream_state *out_stream, struct error *err)
{
    struct bench bench = {.nats = server_open_nats(),
                          .redis_server = server_open_redis(),
                          .pg_server = server_open_postgres(),
                          .metrics = meters_new(1)};
    const struct redis_options redis = {
        .endpoint = server_endpoint(bench.redis_server), .connect_ms = 2000, .command_ms = 5000};
    const struct pg_options pg = {.endpoint = server_endpoint(bench.pg_server),
                                  .application = "test",
                                  .connect_ms = 2000,
                                  .query_ms = 10000};
    const struct stream_limits limits = {
        .max_bytes = INT64_C(64) << 20, .dedup_window_ms = DEDUP_MS, .replicas = 1};

    bench.bus = bus_on(bench.nats, err);
    bench.redis = redis_new(&redis, err);
    bench.pg = pg_new(&pg);
    assert_non_null(bench.redis);
    make_schema(bench.pg, err);
    assert_ok(stream_ensure(bench.bus, 0, &limits, 0, clock_at_ms(), err));
    publish(bench.bus, 0, 10);
    assert_ok(stream_get_state(bench.bus, 0, out_stream, err));
    open_keeper(&bench, err);
    return bench;
}

static void set_positions(struct bench *bench, uint64_t in_redis, uint64_t in_pg, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    char sql[200];

    snprintf(sql, sizeof(sql),
             "INSERT INTO positions (partition, seq) VALUES (0, %" PRIu64 ")"
             " ON CONFLICT (partition) DO UPDATE SET seq = excluded.seq",
             in_pg);
    run_sql(bench->pg, sql, err);
    assert_ok(redis_text(bench->redis, &reply, err, "SET {0}:position %llu",
                         (unsigned long long)in_redis));
}

/* Steps until the stream begins at seq, and tells when it did. */
static int64_t step_until(struct bench *bench, uint64_t seq, struct error *err)
{
    int64_t began_ms = clock_now_ms();
    struct stream_state stream = {0};

    while (stream.first_seq < seq && clock_now_ms() < began_ms + DEADLINE_MS) {
        assert_ok(keeper_step(bench->keeper, err));
        assert_ok(stream_get_state(bench->bus, 0, &stream, err));
        clock_sleep_ms(STEP_MS);
    }
    assert_int_equal(stream.first_seq, seq);
    return clock_now_ms() - began_ms;
}

TEST(a_stream_is_trimmed_below_the_slower_store_once_the_window_is_over)
{
    struct stream_state before;
    struct stream_state after;
    AUTO(bench_close) struct bench bench = bench_open(&before, err);
    uint64_t first = before.first_seq;

    set_positions(&bench, first + 4, first + 6, err);
    assert_in_range(step_until(&bench, first + 5, err), DEDUP_MS + MARGIN_MS, DEADLINE_MS);
    set_positions(&bench, first + 9, first + 6, err);
    (void)step_until(&bench, first + 7, err);
    assert_ok(stream_get_state(bench.bus, 0, &after, err));

    assert_int_equal(after.last_seq, before.last_seq);
    assert_int_equal(after.messages, 3);
}

TESTS(RUN(a_stream_is_trimmed_below_the_slower_store_once_the_window_is_over))
