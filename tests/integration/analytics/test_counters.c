/*
 * Folds of random events over a moved clock, run against a real Redis, and every window then read
 * back bucket by bucket and compared with a plain count over all events.
 */
#include "check.h"

#include "apply.h"
#include "base/auto.h"
#include "changes.h"
#include "clients/redis.h"
#include "event/buckets.h"
#include "fold.h"
#include "servers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PARTITION = 3, EVENTS_MAX = 60000, ADS = 3, KEYS_MAX = 1000, VISITORS = 40, DAY_S = 86400 };

/* 2026-03-01T23:58:20Z: a minute, an hour and a day end soon after. */
static const int64_t start_s = 1772409500;

struct seen {
    int64_t second;
    int ad;
    enum event_type type;
    enum event_reason reason;
    uint64_t visitor;
};

struct bench {
    struct server *server;
    struct redis *redis;
    struct changes *changes;
    struct fold *fold;
    uint64_t position, random;
    struct seen *events;
    size_t count;
};

static void bench_close(struct bench *bench)
{
    redis_close(&bench->redis);
    server_close(&bench->server);
    changes_free(&bench->changes);
    fold_free(&bench->fold);
    free(bench->events);
}

static struct bench bench_open(struct error *err)
{
    struct bench bench = {.server = server_open_redis(),
                          .changes = changes_new(PARTITION, KEYS_MAX),
                          .fold = fold_new(FOLD_ENTRIES_LIMIT),
                          .random = 88172645463325252ULL,
                          .events = calloc(EVENTS_MAX, sizeof(struct seen))};
    const struct redis_options options = {
        .endpoint = server_endpoint(bench.server), .connect_ms = 2000, .command_ms = 5000};
    AUTO(redis_reply_free) redisReply *reply = NULL;

    bench.redis = redis_new(&options, err);
    assert_non_null(bench.redis);
    assert_ok(redis_text(bench.redis, &reply, err, "SET {%d}:position 0", PARTITION));
    return bench;
}

static uint64_t draw(struct bench *bench, uint64_t below)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return (bench->random >> 11) % below;
}

static const char *name_ad(int ad, char out[16])
{
    snprintf(out, 16, "ad-%d", ad);
    return out;
}

static void add_event(struct bench *bench, struct seen seen)
{
    char ad[16];
    struct event event = {.type = seen.type,
                          .reason = seen.reason,
                          .received_at_ms = seen.second * 1000 + 999,
                          .visitor = seen.visitor};

    snprintf(event.ad_id, sizeof(event.ad_id), "%s", name_ad(seen.ad, ad));
    event.ad_id_size = (uint8_t)strlen(event.ad_id);
    assert_true(bench->count < EVENTS_MAX);
    bench->events[bench->count++] = seen;
    assert_true(fold_add(bench->fold, &event, bench->position + 1));
}

/* Most events are of the moment, some minutes, hours or days late. */
static void add_random(struct bench *bench, int64_t now_s)
{
    static const int64_t late_s[] = {0, 0, 0, 0, 0, 0, 3, 70, 900, 7000, 90000, 400000};
    int64_t late = late_s[draw(bench, 12)];
    struct seen seen = {.second = now_s - (late == 0 ? 0 : (int64_t)draw(bench, (uint64_t)late)),
                        .ad = (int)draw(bench, ADS),
                        .type = draw(bench, 4) == 0 ? EVENT_IMPRESSION : EVENT_CLICK};

    seen.reason = seen.type == EVENT_CLICK && draw(bench, 5) == 0 ? EVENT_CRAWLER : EVENT_VALID;
    seen.visitor = 1 + draw(bench, VISITORS) + (uint64_t)(seen.second / DAY_S) * 1000;
    add_event(bench, seen);
}

static struct changes_result apply(struct bench *bench, uint64_t expected, int64_t now_s,
                                   struct error *err)
{
    char text[24];
    const struct position next = {.seq = expected + 1};
    const struct changes_guard guard = {.kind = CHANGES_AT_POSITION,
                                        .expected = text,
                                        .next_position = &next,
                                        .fresh_at_ms = now_s * 1000};
    struct changes_result result;

    snprintf(text, sizeof(text), "%" PRIu64, expected);
    changes_reset(bench->changes, now_s);
    apply_fold(bench->fold, bench->changes);
    assert_ok(changes_run(bench->changes, bench->redis, &guard, &result, err));
    fold_reset(bench->fold);
    if (!result.is_lost)
        bench->position = next.seq;
    return result;
}

static int64_t read_field(struct bench *bench, const char *key, int64_t field, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;

    assert_ok(redis_text(bench->redis, &reply, err, "HGET %s %lld", key, (long long)field));
    return reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : 0;
}

/* A window as the gateway reads it. */
static int64_t read_window(struct bench *bench, int ad, const char *series, int64_t end_s,
                           int64_t window_s, struct error *err)
{
    struct bucket_span spans[BUCKET_SPANS_MAX];
    size_t count = bucket_window(end_s, window_s, spans);
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_days = spans[i].size == BUCKET_DAY;
        char key[BUCKET_KEY_MAX];
        char name[16];

        bucket_key(key, PARTITION, name_ad(ad, name), series, spans[i].size, spans[i].block);
        for (int64_t field = spans[i].first; field <= spans[i].last; field++)
            sum += read_field(bench, key, field + (is_days ? spans[i].block : 0), err);
    }
    return sum;
}

/* The same from all events: the oldest edge is exact to the second, minute or quarter hour. */
static int64_t count_window(const struct bench *bench, int ad, enum event_type type,
                            enum event_reason reason, int64_t end_s, int64_t window_s)
{
    int64_t unit_s = window_s <= 900 ? 1 : window_s <= 3600 ? 60 : 900;
    int64_t from_s = (end_s - window_s + unit_s) / unit_s * unit_s;
    int64_t sum = 0;

    for (size_t i = 0; i < bench->count; i++) {
        const struct seen *seen = &bench->events[i];

        sum += seen->ad == ad && seen->type == type && seen->reason == reason &&
               seen->second >= from_s;
    }
    return sum;
}

static const struct series {
    const char *name;
    enum event_type type;
    enum event_reason reason;
} all_series[] = {{"c", EVENT_CLICK, EVENT_VALID},
                  {"c.crawler", EVENT_CLICK, EVENT_CRAWLER},
                  {"i", EVENT_IMPRESSION, EVENT_VALID}};

static void check_series(struct bench *bench, int ad, const struct series *series, int64_t now_s,
                         struct error *err)
{
    static const int64_t windows_s[] = {60, 300, 900, 1800, 3600, 7200, 86400, 604800};

    for (size_t w = 0; w < sizeof(windows_s) / sizeof(windows_s[0]); w++) {
        int64_t read = read_window(bench, ad, series->name, now_s, windows_s[w], err);
        int64_t counted =
            count_window(bench, ad, series->type, series->reason, now_s, windows_s[w]);

        if (read != counted)
            fail_msg("ad %d %s, %lld s: %lld in Redis, %lld counted", ad, series->name,
                     (long long)windows_s[w], (long long)read, (long long)counted);
    }
}

static void check_windows(struct bench *bench, int64_t now_s, struct error *err)
{
    for (int ad = 0; ad < ADS; ad++)
        for (size_t s = 0; s < sizeof(all_series) / sizeof(all_series[0]); s++)
            check_series(bench, ad, &all_series[s], now_s, err);
}

TEST(every_window_equals_a_plain_count_while_the_clock_moves)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    int64_t now_s = start_s;

    for (int round = 0; round < 120; round++) {
        for (uint64_t i = draw(&bench, 300); i > 0; i--)
            add_random(&bench, now_s);
        assert_false(apply(&bench, bench.position, now_s, err).is_lost);
        if (round % 20 == 19)
            check_windows(&bench, now_s, err);
        now_s += (int64_t)draw(&bench, round % 10 == 0 ? 4000 : 30);
    }
}

/* Visitors of an ad, exactly: each day's distinct ones, summed. */
static int64_t count_visitors(const struct bench *bench, int ad)
{
    static bool is_seen[1000][VISITORS];
    int64_t first_day = start_s / DAY_S - 20;
    int64_t sum = 0;

    memset(is_seen, 0, sizeof(is_seen));
    for (size_t i = 0; i < bench->count; i++) {
        const struct seen *seen = &bench->events[i];
        bool *is =
            &is_seen[seen->second / DAY_S - first_day][(seen->visitor - 1) % 1000 % VISITORS];

        if (seen->ad != ad || seen->type != EVENT_CLICK || seen->reason != EVENT_VALID)
            continue;
        sum += !*is;
        *is = true;
    }
    return sum;
}

TEST(visitors_are_summed_over_closed_days_and_late_ones_still_count)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    int64_t now_s = start_s;

    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 60; i++)
            add_random(&bench, now_s);
        assert_false(apply(&bench, bench.position, now_s, err).is_lost);
        now_s += 9000;
    }
    for (int ad = 0; ad < ADS; ad++) {
        AUTO(redis_reply_free) redisReply *sum = NULL;
        AUTO(redis_reply_free) redisReply *open = NULL;
        AUTO(redis_reply_free) redisReply *day = NULL;

        assert_ok(redis_text(bench.redis, &sum, err, "HGET {%d}:u:ad-%d sum", PARTITION, ad));
        assert_ok(redis_text(bench.redis, &day, err, "HGET {%d}:u:ad-%d day", PARTITION, ad));
        assert_ok(redis_text(bench.redis, &open, err, "PFCOUNT {%d}:ud:ad-%d:%s", PARTITION, ad,
                             day->str));
        /* So few visitors are nearly exact in a HyperLogLog. */
        assert_in_range(strtoll(sum->str, NULL, 10) + open->integer, count_visitors(&bench, ad) - 5,
                        count_visitors(&bench, ad) + 5);
    }
}

TEST(a_lost_position_changes_nothing_and_tells_the_stored_one)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct seen seen = {.second = start_s, .type = EVENT_CLICK};
    struct changes_result result;

    add_event(&bench, seen);
    assert_false(apply(&bench, 0, start_s, err).is_lost);
    add_event(&bench, seen);
    result = apply(&bench, 0, start_s, err);

    assert_true(result.is_lost);
    assert_true(result.has_position);
    assert_int_equal(result.position.seq, 1);
    assert_int_equal(read_window(&bench, 0, "c", start_s, 60, err), 1);
}

TEST(positions_are_compared_digit_by_digit)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    const uint64_t stored = 9007199254740993; /* a double would read ...992 */

    assert_ok(redis_text(bench.redis, &reply, err, "SET {%d}:position %llu", PARTITION,
                         (unsigned long long)stored));

    assert_true(apply(&bench, stored - 1, start_s, err).is_lost);
    assert_false(apply(&bench, stored, start_s, err).is_lost);
}

TEST(nobody_counts_without_a_position)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    struct changes_result result;

    assert_ok(redis_text(bench.redis, &reply, err, "FLUSHALL"));
    result = apply(&bench, 0, start_s, err);

    assert_true(result.is_lost);
    assert_false(result.has_position);
}

static int64_t read_ttl(struct bench *bench, const char *key, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;

    assert_ok(redis_text(bench->redis, &reply, err, "TTL %s", key));
    return reply->integer;
}

TEST(hashes_live_as_long_as_they_are_read)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct seen seen = {.second = start_s, .type = EVENT_CLICK, .visitor = 5};
    char key[BUCKET_KEY_MAX];

    add_event(&bench, seen);
    assert_false(apply(&bench, 0, start_s, err).is_lost);

    /* 23:58:20: 40 s of the minute are left, 100 s of the hour and the day. */
    bucket_key(key, PARTITION, "ad-0", "c", BUCKET_SECOND, start_s / 60);
    assert_in_range(read_ttl(&bench, key, err), 1235, 1240);
    bucket_key(key, PARTITION, "ad-0", "c", BUCKET_MINUTE, start_s / 3600);
    assert_in_range(read_ttl(&bench, key, err), 10895, 10900);
    bucket_key(key, PARTITION, "ad-0", "c", BUCKET_QUARTER, start_s / DAY_S);
    assert_in_range(read_ttl(&bench, key, err), 777695, 777700);
    bucket_key_visitors(key, PARTITION, "ad-0", BUCKET_VISITORS_MINUTE, start_s / 60);
    assert_in_range(read_ttl(&bench, key, err), 3935, 3940);
    bucket_key_visitors(key, PARTITION, "ad-0", BUCKET_VISITORS_DAY, start_s / DAY_S);
    assert_int_equal(read_ttl(&bench, key, err), -1); /* until the day is in the sum */
    bucket_key_totals(key, PARTITION, "ad-0");
    assert_int_equal(read_ttl(&bench, key, err), -1);
}

TEST(redis_is_told_once_when_a_key_ends)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    struct seen seen = {.second = start_s, .type = EVENT_CLICK, .visitor = 5};
    char key[BUCKET_KEY_MAX];

    bucket_key(key, PARTITION, "ad-0", "c", BUCKET_SECOND, start_s / 60);
    add_event(&bench, seen);
    assert_false(apply(&bench, 0, start_s, err).is_lost);
    assert_ok(redis_text(bench.redis, &reply, err, "PERSIST %s", key));
    seen.second++;
    add_event(&bench, seen);
    assert_false(apply(&bench, bench.position, start_s, err).is_lost);
    assert_int_equal(read_ttl(&bench, key, err), -1); /* it is known to have one */

    changes_forget(bench.changes);
    seen.second++;
    add_event(&bench, seen);
    assert_false(apply(&bench, bench.position, start_s, err).is_lost);
    assert_in_range(read_ttl(&bench, key, err), 1230, 1240);
}

TEST(a_key_of_a_call_that_was_lost_is_not_taken_for_made)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    struct seen seen = {.second = start_s, .type = EVENT_CLICK};
    char key[BUCKET_KEY_MAX];

    add_event(&bench, seen);
    assert_true(apply(&bench, 7, start_s, err).is_lost);
    add_event(&bench, seen);
    assert_false(apply(&bench, 0, start_s, err).is_lost);

    bucket_key(key, PARTITION, "ad-0", "c", BUCKET_SECOND, start_s / 60);
    assert_in_range(read_ttl(&bench, key, err), 1235, 1240);
}

/* The position alone would not tell: the rebuild ends where the counting stood. */
TEST(a_rebuild_between_two_calls_is_noticed)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(redis_reply_free) redisReply *reply = NULL;
    struct changes_result claimed;

    assert_ok(changes_claim(bench.changes, bench.redis, "0", "a-token", &claimed, err));
    assert_false(claimed.is_lost);
    assert_ok(redis_text(bench.redis, &reply, err, "SET {%d}:position 0", PARTITION));

    assert_true(apply(&bench, 0, start_s, err).is_lost);
}

TEST(a_full_fold_of_the_costliest_events_fits_into_one_call)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(fold_free) struct fold *fold = fold_new(FOLD_ENTRIES_LIMIT);
    struct event event = {.type = EVENT_CLICK, .received_at_ms = start_s * 1000};

    for (uint64_t i = 1; !fold_is_full(fold); i++) {
        event.ad_id_size = (uint8_t)snprintf(event.ad_id, sizeof(event.ad_id), "%064d", (int)i);
        event.visitor = i % 2; /* a count costs more than a visitor */
        assert_true(fold_add(fold, &event, i));
    }
    changes_reset(bench.changes, start_s);
    apply_fold(fold, bench.changes);

    const struct changes_guard guard = {.kind = CHANGES_COUNTING};
    struct changes_result result;

    assert_in_range(changes_args(bench.changes), 1, CHANGES_ARGS_MAX);
    assert_in_range(changes_args(bench.changes), 1,
                    (FOLD_ENTRIES_LIMIT + 1L) * CHANGES_ENTRY_ARGS_MAX);
    assert_ok(changes_run(bench.changes, bench.redis, &guard, &result, err));
    assert_false(result.is_lost);
}

TEST(an_event_past_every_bucket_still_counts_in_the_total)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(redis_reply_free) redisReply *keys = NULL;
    AUTO(redis_reply_free) redisReply *total = NULL;
    struct seen seen = {.second = start_s - INT64_C(20) * DAY_S, .type = EVENT_CLICK, .visitor = 5};

    add_event(&bench, seen);
    assert_false(apply(&bench, 0, start_s, err).is_lost);

    assert_ok(redis_text(bench.redis, &keys, err, "DBSIZE"));
    assert_int_equal(keys->integer, 3); /* position, fresh, total */
    assert_ok(redis_text(bench.redis, &total, err, "HGET {%d}:t:ad-0 c", PARTITION));
    assert_string_equal(total->str, "1");
}

TEST(the_days_that_are_no_longer_kept_leave_the_hash_of_days)
{
    AUTO(bench_close) struct bench bench = bench_open(err);
    AUTO(redis_reply_free) redisReply *days = NULL;
    struct seen seen = {.type = EVENT_CLICK};

    for (int day = 0; day < 30; day++) {
        seen.second = start_s + (int64_t)day * DAY_S;
        add_event(&bench, seen);
        assert_false(apply(&bench, bench.position, seen.second, err).is_lost);
    }
    assert_ok(redis_text(bench.redis, &days, err, "HLEN {%d}:d:ad-0:c", PARTITION));

    assert_in_range(days->integer, 9, 10);
}

TESTS(RUN(every_window_equals_a_plain_count_while_the_clock_moves),
      RUN(visitors_are_summed_over_closed_days_and_late_ones_still_count),
      RUN(a_lost_position_changes_nothing_and_tells_the_stored_one),
      RUN(positions_are_compared_digit_by_digit), RUN(nobody_counts_without_a_position),
      RUN(hashes_live_as_long_as_they_are_read), RUN(redis_is_told_once_when_a_key_ends),
      RUN(a_key_of_a_call_that_was_lost_is_not_taken_for_made),
      RUN(a_rebuild_between_two_calls_is_noticed),
      RUN(a_full_fold_of_the_costliest_events_fits_into_one_call),
      RUN(an_event_past_every_bucket_still_counts_in_the_total),
      RUN(the_days_that_are_no_longer_kept_leave_the_hash_of_days))
