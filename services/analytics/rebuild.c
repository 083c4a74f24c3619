#include "rebuild.h"

#include "base/auto.h"
#include "changes.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "meters.h"
#include "place.h"
#include "rebuild_rows.h"
#include "rows.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { SCAN_KEYS = 1000, QUERY_MS = 300 * 1000, SECOND_MS = 1000 };

/* The data's path, top to bottom; the definitions follow in this order. */
static bool claim(struct rebuild *self, const char *expected, struct error *err);
static bool clear(struct rebuild *self, struct error *err);
static bool load(struct rebuild *self, uint64_t first_seq, struct error *err);
static bool read_position(struct rebuild *self, uint64_t *out_position, struct error *err);
static bool enter(struct rebuild *self, const char *phase, const struct position *position,
                  struct error *err);

bool rebuild_run(const struct rebuild_options *options, const char *expected, uint64_t first_seq,
                 struct error *err)
{
    struct rebuild rebuild = {.options = options};
    AUTO(changes_free) struct changes *changes = changes_new(options->partition, 0);
    int64_t began_ms = clock_now_ms();
    bool is_done = false;

    if (changes == NULL)
        return error_set(err, ERROR_LIMIT, "rebuild: no memory");
    rebuild.changes = changes;
    /* Without PostgreSQL nothing may go: what Redis still shows is better than nothing. */
    if (!pg_connect(options->pg, err) || !claim(&rebuild, expected, err))
        return error_wrap(err, "rebuild");
    metrics_add(options->metrics, METRIC_analytics_rebuilds_total, 1);
    log_warn("rebuild_begun", "partition=%u position=\"%s\"", options->partition, expected);
    pg_set_query_ms(options->pg, QUERY_MS);
    is_done = clear(&rebuild, err) &&
              pg_begin(options->pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
    if (is_done) {
        is_done = load(&rebuild, first_seq, err);
        pg_rollback(options->pg); /* it only read */
    }
    pg_set_query_ms(options->pg, options->query_ms);
    if (!is_done)
        return error_wrap(err, "rebuild");
    metrics_add(options->metrics, METRIC_analytics_rebuilds_completed_total, 1);
    log_info("rebuild_done", "partition=%u duration_ms=%" PRId64, options->partition,
             clock_now_ms() - began_ms);
    return true;
}

static bool claim(struct rebuild *self, const char *expected, struct error *err)
{
    uint64_t random = 0;
    struct changes_result result;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_set(err, ERROR_INTERNAL, "no random bytes for a token");
    snprintf(self->token, sizeof(self->token), "%016" PRIx64, random);
    if (!changes_claim(self->changes, self->options->redis, expected, self->token, &result, err))
        return false;
    if (result.is_lost)
        return error_set(err, ERROR_UNAVAILABLE, "partition %u: the position has moved on",
                         self->options->partition);
    return true;
}

/* Everything of the partition but the state; nobody makes keys while there is no position. */
static bool clear_some(struct rebuild *self, const redisReply *keys, const char *state,
                       struct error *err)
{
    changes_reset(self->changes, clock_at_ms() / SECOND_MS);
    for (size_t i = 0; i < keys->elements; i++)
        if (strcmp(keys->element[i]->str, state) != 0)
            changes_delete_key(self->changes, keys->element[i]->str, (size_t)keys->element[i]->len);
    return changes_args(self->changes) == 0 || rebuild_flush(self, err);
}

/* A cursor means nothing on another node, nor after a restart of this one. */
static bool clear(struct rebuild *self, struct error *err)
{
    uint64_t connects = redis_connects(self->options->redis);
    char cursor[24] = "0";
    char state[BUCKET_KEY_MAX];

    bucket_key_state(state, self->options->partition);
    do {
        AUTO(redis_reply_free) redisReply *reply = NULL;

        if (!redis_text(self->options->redis, &reply, err, "SCAN %s MATCH {%u}:* COUNT %d", cursor,
                        self->options->partition, SCAN_KEYS))
            return false;
        if (redis_connects(self->options->redis) != connects)
            return error_set(err, ERROR_UNAVAILABLE, "redis: the connection is another one");
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
            return error_set(err, ERROR_INTERNAL, "redis: SCAN answers in another shape");
        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        if (!clear_some(self, reply->element[1], state, err))
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

static bool load(struct rebuild *self, uint64_t first_seq, struct error *err)
{
    uint64_t pg_position = 0;

    self->at_s = clock_at_ms() / SECOND_MS;
    changes_reset(self->changes, self->at_s);
    if (!read_position(self, &pg_position, err) || !rebuild_load_totals(self, err) ||
        !rebuild_load_quarters(self, err))
        return false;

    struct position position = {.seq = place_after_rebuild(pg_position, first_seq)};

    if (!enter(self, "minutes", &position, err))
        return false;
    log_info("rebuild_counting", "partition=%u position=%" PRIu64, self->options->partition,
             position.seq);
    return rebuild_load_minutes(self, err) && enter(self, "uniques", NULL, err) &&
           rebuild_load_uniques(self, err) && enter(self, "done", NULL, err);
}

/* No row: ingest has stored nothing of this partition yet. */
static bool read_position(struct rebuild *self, uint64_t *out_position, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char partition[12];
    struct pg_param params[] = {{.value = partition}};

    snprintf(partition, sizeof(partition), "%u", self->options->partition);
    if (!pg_query(self->options->pg, NULL, "SELECT seq FROM positions WHERE partition = $1::int",
                  params, 1, &rows, err))
        return false;
    *out_position = PQntuples(rows) == 0 ? 0 : rows_sequence(rows, 0, 0);
    return true;
}

static bool enter(struct rebuild *self, const char *phase, const struct position *position,
                  struct error *err)
{
    const struct changes_guard guard = {.kind = CHANGES_REBUILDING,
                                        .token = self->token,
                                        .next_position = position,
                                        .phase = phase,
                                        .rebuilt_at_ms = clock_at_ms()};

    return rebuild_flush_with(self, &guard, err);
}

bool rebuild_flush(struct rebuild *self, struct error *err)
{
    const struct changes_guard guard = {.kind = CHANGES_REBUILDING, .token = self->token};

    return rebuild_flush_with(self, &guard, err);
}

bool rebuild_flush_with(struct rebuild *self, const struct changes_guard *guard, struct error *err)
{
    struct changes_result result;

    if (!changes_run(self->changes, self->options->redis, guard, &result, err))
        return false;
    if (result.is_lost)
        return error_set(err, ERROR_UNAVAILABLE, "partition %u: another rebuild has begun",
                         self->options->partition);
    changes_reset(self->changes, self->at_s);
    if (!self->options->on_progress(self->options->ctx))
        return error_set(err, ERROR_UNAVAILABLE, "partition %u: stopped", self->options->partition);
    return true;
}
