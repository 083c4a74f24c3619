/*
 * Repair and rebuild against a real Redis and PostgreSQL. The test plays ingest: it stores the
 * messages' events once each, and makes the rollups and the dirty marks from them.
 */
#include "check.h"

#include "apply.h"
#include "base/auto.h"
#include "changes.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "event/event_id.h"
#include "fold.h"
#include "meters.h"
#include "rebuild.h"
#include "repair.h"
#include "runtime/clock.h"
#include "schema.h"
#include "servers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ADS = 5, VISITORS = 30, HISTORY_S = 3 * 3600, SQL_MAX = 4096 };

struct bench {
    struct server *redis_server, *pg_server;
    struct redis *redis;
    struct pg *pg;
    struct metrics *metrics;
    struct changes *changes;
    struct fold *fold;
    struct repair *repair;
    uint64_t redis_position, pg_position, random;
};

static void bench_close(struct bench *bench)
{
    repair_free(&bench->repair);
    fold_free(&bench->fold);
    changes_free(&bench->changes);
    metrics_free(&bench->metrics);
    pg_close(&bench->pg);
    redis_close(&bench->redis);
    server_close(&bench->pg_server);
    server_close(&bench->redis_server);
}

static struct bench bench_open(struct error *err)
{
    struct bench bench = {.redis_server = server_open_redis(),
                          .pg_server = server_open_postgres(),
                          .metrics = meters_new(1),
                          .changes = changes_new(0, 0),
                          .fold = fold_new(FOLD_ENTRIES_LIMIT),
                          .random = 88172645463325252ULL};
    const struct redis_options redis = {
        .endpoint = server_endpoint(bench.redis_server), .connect_ms = 2000, .command_ms = 5000};
    const struct pg_options pg = {.endpoint = server_endpoint(bench.pg_server),
                                  .application = "test",
                                  .connect_ms = 2000,
                                  .query_ms = 10000};
    AUTO(redis_reply_free) redisReply *reply = NULL;

    bench.redis = redis_new(&redis, err);
    bench.pg = pg_new(&pg);
    assert_non_null(bench.redis);
    make_schema(bench.pg, err);

    const struct repair_options repair = {
        .partition_count = 1, .pg = bench.pg, .redis = bench.redis, .metrics = bench.metrics};

    bench.repair = repair_new(&repair);
    assert_ok(redis_text(bench.redis, &reply, err, "SET {0}:position 0"));
    return bench;
}

static uint64_t draw(struct bench *bench, uint64_t below)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return (bench->random >> 11) % below;
}

static struct event draw_event(struct bench *bench)
{
    struct event event = {
        .type = draw(bench, 3) == 0 ? EVENT_IMPRESSION : EVENT_CLICK,
        .reason = draw(bench, 6) == 0 ? EVENT_CRAWLER : EVENT_VALID,
        .received_at_ms = clock_at_ms() - 1000 * (int64_t)draw(bench, HISTORY_S),
        .visitor = 1 + draw(bench, VISITORS),
    };

    event_id_make(event.received_at_ms, event.id);
    event.ad_id_size =
        (uint8_t)snprintf(event.ad_id, sizeof(event.ad_id), "ad-%d", (int)draw(bench, ADS));
    return event;
}

/* Redis counts message seq, duplicates and all. */
static void count(struct bench *bench, const struct event *event, uint64_t seq)
{
    assert_true(fold_add(bench->fold, event, seq));
    bench->redis_position = seq;
}

static void apply(struct bench *bench, struct error *err)
{
    AUTO(redis_reply_free) redisReply *stored = NULL;
    AUTO(redis_reply_free) redisReply *token = NULL;
    const struct position next = {.seq = bench->redis_position};

    assert_ok(redis_text(bench->redis, &stored, err, "GET {0}:position"));
    assert_ok(redis_text(bench->redis, &token, err, "HGET {0}:state token"));

    const struct changes_guard guard = {.kind = CHANGES_AT_POSITION,
                                        .expected = stored->str,
                                        .token = token->str,
                                        .next_position = &next,
                                        .fresh_at_ms = clock_at_ms()};
    struct changes_result result;

    changes_reset(bench->changes, clock_at_ms() / 1000);
    apply_fold(bench->fold, bench->changes);
    assert_ok(changes_run(bench->changes, bench->redis, &guard, &result, err));
    assert_false(result.is_lost);
    fold_reset(bench->fold);
}

/* PostgreSQL stores message seq (kept in flags, for the rollups) once, or marks its quarter. */
static void store(struct bench *bench, const struct event *event, uint64_t seq, struct error *err)
{
    char id[37];
    char sql[SQL_MAX];

    event_id_format(event->id, id);
    snprintf(sql, sizeof(sql),
             "WITH e AS (INSERT INTO events (event_id, type, reason, flags, ad_id, event_at,"
             " received_at, visitor) VALUES ('%s', %d, %d, %" PRIu64 ", '%s', now(),"
             " to_timestamp(%" PRId64 " / 1000.0), %" PRIu64 ") ON CONFLICT DO NOTHING RETURNING 1)"
             " INSERT INTO dirty SELECT 0, '%s', to_timestamp(%" PRId64 "), %" PRIu64
             " WHERE NOT EXISTS (SELECT 1 FROM e)"
             " ON CONFLICT (partition, ad_id, quarter_at) DO UPDATE SET seq = excluded.seq",
             id, (int)event->type, (int)event->reason, seq, event->ad_id, event->received_at_ms,
             event->visitor, event->ad_id, event->received_at_ms / 900000 * 900, seq);
    run_sql(bench->pg, sql, err);
    bench->pg_position = seq;
}

static void mark(struct bench *bench, const struct event *event, uint64_t seq, struct error *err)
{
    char sql[SQL_MAX];

    snprintf(sql, sizeof(sql),
             "INSERT INTO dirty VALUES (0, '%s', to_timestamp(%" PRId64 "), %" PRIu64 ")",
             event->ad_id, event->received_at_ms / 900000 * 900, seq);
    run_sql(bench->pg, sql, err);
}

static void roll_up(struct bench *bench, struct error *err)
{
    char sql[SQL_MAX];

    snprintf(sql, sizeof(sql),
             "DELETE FROM ad_quarter; DELETE FROM ad_total; DELETE FROM positions;"
             "INSERT INTO ad_quarter SELECT"
             " to_timestamp(floor(extract(epoch FROM received_at) / 900) * 900),"
             " ad_id, type, reason, count(*), max(flags) FROM events GROUP BY 1, 2, 3, 4;"
             "INSERT INTO ad_total SELECT ad_id, type, reason, count(*), max(flags) FROM events"
             " GROUP BY 1, 2, 3;"
             "INSERT INTO positions VALUES (0, %" PRIu64 ")",
             bench->pg_position);
    run_sql(bench->pg, sql, err);
}

/* Counts a share of the messages twice; the second copy is a duplicate for PostgreSQL. */
static void fill(struct bench *bench, int events, int double_every, struct error *err)
{
    uint64_t seq = bench->redis_position;

    for (int i = 0; i < events; i++) {
        struct event event = draw_event(bench);

        count(bench, &event, ++seq);
        store(bench, &event, seq, err);
        if (double_every > 0 && i % double_every == 0) {
            count(bench, &event, ++seq);
            store(bench, &event, seq, err);
        }
    }
    apply(bench, err);
    roll_up(bench, err);
}

static int64_t ask_pg(struct bench *bench, const char *sql, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;

    assert_ok(pg_query(bench->pg, NULL, sql, NULL, 0, &rows, err));
    return PQntuples(rows) == 0 ? 0 : strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
}

/* Sums the fields of every hash under a kind of key: "t", "q", "d". */
static int64_t sum_redis(struct bench *bench, const char *kind, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;

    assert_ok(redis_text(bench->redis, &reply, err, "EVAL %s 0 {0}:%s:*",
                         "local n = 0 for _, k in ipairs(redis.call('KEYS', ARGV[1])) do"
                         " for _, v in ipairs(redis.call('HVALS', k)) do n = n + v end end"
                         " return n",
                         kind));
    return reply->integer;
}

static void check_equal(struct bench *bench, struct error *err)
{
    int64_t rows = ask_pg(bench, "SELECT count(*) FROM events", err);

    assert_int_equal(sum_redis(bench, "t", err), rows);
    assert_int_equal(sum_redis(bench, "q", err), rows);
    assert_int_equal(sum_redis(bench, "d", err), rows);
}

/* All counters as text, in order: hashes field by field, HyperLogLogs by their estimate. */
static char *dump(struct bench *bench, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    static const char script[] =
        "local keys, out = redis.call('KEYS', '{0}:*'), {} table.sort(keys)\n"
        "for _, k in ipairs(keys) do\n"
        "  local kind = redis.call('TYPE', k).ok\n"
        "  if kind == 'hash' and k ~= '{0}:state' then\n"
        "    local all, fields = redis.call('HGETALL', k), {}\n"
        "    for i = 1, #all, 2 do\n"
        "      if all[i + 1] ~= '0' then fields[#fields + 1] = all[i] .. '=' .. all[i + 1] end\n"
        "    end\n"
        "    table.sort(fields) out[#out + 1] = k .. ' ' .. table.concat(fields, ' ')\n"
        "  elseif kind == 'string' and string.find(k, ':u') then\n"
        "    out[#out + 1] = k .. ' ' .. redis.call('PFCOUNT', k)\n"
        "  end\n"
        "end return table.concat(out, '\\n')";

    assert_ok(redis_text(bench->redis, &reply, err, "EVAL %s 0", script));
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    return strdup(reply->str);
}

/* ---- repair ---- */

TEST(what_was_counted_twice_is_set_to_the_rollups_and_the_marks_go)
{
    AUTO(bench_close) struct bench bench = bench_open(err);

    fill(&bench, 400, 5, err);
    assert_int_equal(sum_redis(&bench, "t", err), 480);
    assert_ok(repair_marks(bench.repair, clock_at_ms(), err));

    check_equal(&bench, err);
    assert_int_equal(ask_pg(&bench, "SELECT count(*) FROM dirty", err), 0);
}

TEST(a_series_that_only_redis_has_becomes_nothing)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct event event = draw_event(&bench);

    fill(&bench, 20, 0, err);
    event.type = EVENT_SKIP;
    count(&bench, &event, bench.redis_position + 1);
    apply(&bench, err);
    bench.pg_position = bench.redis_position;
    roll_up(&bench, err);
    mark(&bench, &event, bench.redis_position, err); /* a dead letter: no row, only its mark */
    assert_ok(repair_marks(bench.repair, clock_at_ms(), err));

    check_equal(&bench, err);
}

TEST(a_mark_stays_while_redis_has_not_come_to_it)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct event event = draw_event(&bench);
    uint64_t behind = 0;

    fill(&bench, 50, 0, err);
    behind = bench.redis_position;
    store(&bench, &event, behind + 1, err);
    store(&bench, &event, behind + 2, err); /* a duplicate beyond Redis's position */
    roll_up(&bench, err);
    assert_ok(repair_marks(bench.repair, clock_at_ms(), err));
    assert_int_equal(ask_pg(&bench, "SELECT count(*) FROM dirty", err), 1);

    count(&bench, &event, behind + 1);
    count(&bench, &event, behind + 2);
    apply(&bench, err);
    assert_ok(repair_marks(bench.repair, clock_at_ms(), err));

    assert_int_equal(ask_pg(&bench, "SELECT count(*) FROM dirty", err), 0);
    check_equal(&bench, err);
}

TEST(a_mark_stays_while_postgresql_has_not_come_to_what_redis_counted)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct event event = draw_event(&bench);
    struct event later = event;

    count(&bench, &event, 1);
    count(&bench, &event, 2);
    event_id_make(event.received_at_ms, later.id);
    count(&bench, &later, 3);
    apply(&bench, err);
    store(&bench, &event, 1, err);
    store(&bench, &event, 2, err);
    roll_up(&bench, err);
    assert_ok(repair_marks(bench.repair, clock_at_ms(), err));
    assert_int_equal(sum_redis(&bench, "t", err), 3);
    assert_int_equal(ask_pg(&bench, "SELECT count(*) FROM dirty", err), 1);

    store(&bench, &later, 3, err);
    roll_up(&bench, err);
    assert_ok(repair_marks(bench.repair, clock_at_ms(), err));

    assert_int_equal(ask_pg(&bench, "SELECT count(*) FROM dirty", err), 0);
    check_equal(&bench, err);
}

TEST(closed_quarter_hours_are_compared_without_a_mark)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct event event = draw_event(&bench);

    event.received_at_ms = clock_at_ms() - INT64_C(3600) * 1000;
    count(&bench, &event, 1);
    store(&bench, &event, 1, err);
    apply(&bench, err);
    event_id_make(event.received_at_ms, event.id);
    store(&bench, &event, 1, err); /* as if Redis had filtered it out */
    roll_up(&bench, err);
    for (int i = 0; i < 20; i++)
        assert_ok(repair_reconcile(bench.repair, clock_at_ms(), err));

    check_equal(&bench, err);
}

/* ---- rebuild ---- */

static bool on_progress(void *ctx)
{
    int *left = ctx;

    return left == NULL || (*left)-- > 0;
}

static struct rebuild_options rebuild_options(const struct bench *bench, int *left)
{
    return (struct rebuild_options){.partition_count = 1,
                                    .pg = bench->pg,
                                    .redis = bench->redis,
                                    .metrics = bench->metrics,
                                    .query_ms = 10000,
                                    .on_progress = on_progress,
                                    .ctx = left};
}

static void flush(struct bench *bench, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;

    assert_ok(redis_text(bench->redis, &reply, err, "FLUSHALL"));
}

TEST(a_rebuild_gives_back_every_counter)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    const struct rebuild_options options = rebuild_options(&bench, NULL);
    AUTO(auto_free) char *before = NULL;
    AUTO(auto_free) char *after = NULL;

    fill(&bench, 600, 0, err);
    before = dump(&bench, err);
    flush(&bench, err);
    assert_ok(rebuild_run(&options, "", 1, err));
    after = dump(&bench, err);

    assert_string_equal(after, before);
    apply(&bench, err); /* counting goes on at PostgreSQL's position */
    check_equal(&bench, err);
}

TEST(what_is_counted_after_the_snapshot_is_added_to_it)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    const struct rebuild_options options = rebuild_options(&bench, NULL);
    struct event event = draw_event(&bench);
    AUTO(auto_free) char *before = NULL;
    AUTO(auto_free) char *after = NULL;

    fill(&bench, 100, 0, err);
    count(&bench, &event, bench.redis_position + 1);
    apply(&bench, err);
    before = dump(&bench, err);
    flush(&bench, err);
    assert_ok(rebuild_run(&options, "", 1, err));
    count(&bench, &event, bench.redis_position);
    apply(&bench, err);
    after = dump(&bench, err);

    assert_string_equal(after, before);
}

TEST(a_rebuild_that_is_cut_off_at_any_point_is_done_again_whole)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(auto_free) char *before = NULL;
    bool is_done = false;

    fill(&bench, 200, 0, err);
    before = dump(&bench, err);
    flush(&bench, err);
    for (int steps = 0; !is_done; steps++) {
        int left = steps;
        const struct rebuild_options options = rebuild_options(&bench, &left);

        is_done = rebuild_run(&options, "*", 1, err);
    }

    AUTO(auto_free) char *after = dump(&bench, err);

    assert_string_equal(after, before);
}

TEST(an_empty_database_and_an_empty_redis_begin_at_the_streams_first_message)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    const struct rebuild_options options = rebuild_options(&bench, NULL);
    AUTO(redis_reply_free) redisReply *position = NULL;
    AUTO(redis_reply_free) redisReply *state = NULL;

    flush(&bench, err);
    assert_ok(rebuild_run(&options, "", 1772409500000001, err));
    assert_ok(redis_text(bench.redis, &position, err, "GET {0}:position"));
    assert_ok(redis_text(bench.redis, &state, err, "HGET {0}:state rebuild"));

    assert_string_equal(position->str, "1772409500000000");
    assert_int_equal(state->type, REDIS_REPLY_NIL);
}

TEST(a_rebuild_takes_over_in_the_middle_of_a_message)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    const struct rebuild_options options = rebuild_options(&bench, NULL);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    AUTO(redis_reply_free) redisReply *position = NULL;

    fill(&bench, 20, 0, err);
    assert_ok(redis_text(bench.redis, &reply, err, "SET {0}:position 20+7"));
    assert_ok(rebuild_run(&options, "20", 1, err));
    assert_ok(redis_text(bench.redis, &position, err, "GET {0}:position"));

    assert_string_equal(position->str, "20");
    check_equal(&bench, err);
}

TEST(a_rebuild_does_not_begin_when_the_position_has_moved_or_postgresql_is_gone)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    const struct rebuild_options options = rebuild_options(&bench, NULL);
    AUTO(redis_reply_free) redisReply *position = NULL;

    fill(&bench, 20, 0, err);
    assert_fails(ERROR_UNAVAILABLE, rebuild_run(&options, "7", 1, err));
    server_kill(bench.pg_server);
    pg_disconnect(bench.pg);
    assert_fails(ERROR_UNAVAILABLE, rebuild_run(&options, "20", 1, err));

    assert_ok(redis_text(bench.redis, &position, err, "GET {0}:position"));
    assert_string_equal(position->str, "20");
    assert_int_equal(sum_redis(&bench, "t", err), 20);
}

TESTS(RUN(what_was_counted_twice_is_set_to_the_rollups_and_the_marks_go),
      RUN(a_series_that_only_redis_has_becomes_nothing),
      RUN(a_mark_stays_while_redis_has_not_come_to_it),
      RUN(a_mark_stays_while_postgresql_has_not_come_to_what_redis_counted),
      RUN(closed_quarter_hours_are_compared_without_a_mark),
      RUN(a_rebuild_gives_back_every_counter),
      RUN(what_is_counted_after_the_snapshot_is_added_to_it),
      RUN(a_rebuild_that_is_cut_off_at_any_point_is_done_again_whole),
      RUN(an_empty_database_and_an_empty_redis_begin_at_the_streams_first_message),
      RUN(a_rebuild_takes_over_in_the_middle_of_a_message),
      RUN(a_rebuild_does_not_begin_when_the_position_has_moved_or_postgresql_is_gone))
