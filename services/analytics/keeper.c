#include "keeper.h"

#include "base/auto.h"
#include "clients/bus.h"
#include "clients/guard.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "event/buckets.h"
#include "meters.h"
#include "rebuild.h"
#include "repair.h"
#include "rows.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "trim.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

enum { TRIM_MARGIN_MS = 5000, PERMIT_MARGIN_MS = 1000, BEYOND_SURE_MS = 5000 };

struct keeper {
    struct keeper_options options;
    struct guard pg_guard, redis_guard;
    char redis_key[BUCKET_KEY_MAX]; /* leads to the partition's node */
    struct pg *pg;
    struct redis *redis;
    struct repair *repair;
    struct trim trim;
    int64_t trimmed_ms;      /* when the stream was trimmed last */
    bool is_behind;          /* the stream's end is before both positions: said once */
    int64_t beyond_since_ms; /* the position is beyond the stream's end; 0: it is not */
    atomic_bool is_known, is_pg_up, is_redis_up;
    atomic_int verdict;
};

static void init_guards(struct keeper *self)
{
    struct guard_options pg = {.dependency = GUARD_POSTGRES,
                               .what = "keep",
                               .place = self->options.partition,
                               .breaker = breaker_default_options()};
    struct guard_options redis = pg;
    uint64_t seed = (uint64_t)clock_now_us() ^ (uint64_t)(uintptr_t)self;

    /* A query of a rebuild may take long: only the deadline of the others tells what is slow. */
    pg.breaker.slow_ms = self->options.pg_ms;
    pg.breaker.permit_ms =
        self->options.connect_ms + INT64_C(2) * self->options.pg_ms + PERMIT_MARGIN_MS;
    redis.dependency = GUARD_REDIS;
    guard_init(&self->pg_guard, &pg, seed, clock_now_ms());
    guard_init(&self->redis_guard, &redis, ~seed, clock_now_ms());
}

struct keeper *keeper_open(const struct keeper_options *options, struct error *err)
{
    AUTO(keeper_close) struct keeper *keeper = calloc(1, sizeof(*keeper));
    struct pg_options pg = {.endpoint = options->postgres,
                            .application = "adledger analytics",
                            .connect_ms = options->connect_ms,
                            .query_ms = options->pg_ms,
                            .on_wait = options->on_wait,
                            .ctx = options->ctx};
    struct redis_options redis = {.endpoint = options->redis,
                                  .connect_ms = options->connect_ms,
                                  .command_ms = options->redis_ms};

    if (keeper == NULL) {
        error_set(err, ERROR_LIMIT, "keeper: no memory");
        return NULL;
    }
    keeper->options = *options;
    init_guards(keeper);
    pg.guard = &keeper->pg_guard;
    redis.guard = &keeper->redis_guard;
    bucket_key_position(keeper->redis_key, options->partition);
    redis.key = keeper->redis_key;
    trim_init(&keeper->trim, options->dedup_window_ms + TRIM_MARGIN_MS);
    keeper->redis = redis_new(&redis, err);
    if (keeper->redis == NULL)
        return NULL;
    keeper->pg = pg_new(&pg);

    const struct repair_options repair = {.partition = options->partition,
                                          .partition_count = options->partition_count,
                                          .pg = keeper->pg,
                                          .redis = keeper->redis,
                                          .metrics = options->metrics};

    keeper->repair = repair_new(&repair);
    if (keeper->pg == NULL || keeper->repair == NULL) {
        error_set(err, ERROR_LIMIT, "keeper: no memory");
        return NULL;
    }
    return TAKE(keeper);
}

void keeper_close(struct keeper **keeper)
{
    if (*keeper == NULL)
        return;
    repair_free(&(*keeper)->repair);
    pg_close(&(*keeper)->pg);
    redis_close(&(*keeper)->redis);
    guard_end(&(*keeper)->pg_guard);
    guard_end(&(*keeper)->redis_guard);
    free(*keeper);
    *keeper = NULL;
}

/* The mark that sums_of_missing of ingest makes. */
static const char position_sql[] =
    "SELECT p.seq, coalesce(d.seq, 0) FROM positions p"
    " LEFT JOIN dirty d ON d.partition = p.partition AND d.ad_id = ''"
    " WHERE p.partition = $1::int";
static const char skipped_sql[] =
    "DELETE FROM dirty WHERE partition = $1::int AND ad_id = '' AND seq = $2::bigint";

/* The step, top to bottom; the definitions follow in this order. */
static bool look(struct keeper *self, struct place *place, struct error *err);
static bool look_at_redis(struct keeper *self, struct place *place, struct error *err);
static bool look_at_pg(struct keeper *self, struct place *place, struct error *err);
static enum place_verdict judge(struct keeper *self, const struct place *place, int64_t now_ms);
static bool rebuild(struct keeper *self, const struct place *place, struct error *err);
static void warn_once(struct keeper *self, const struct place *place, enum place_verdict verdict);
static bool trim(struct keeper *self, const struct place *place, struct error *err);

bool keeper_step(struct keeper *keeper, struct error *err)
{
    struct place place = {0};

    if (!look(keeper, &place, err))
        return false;

    enum place_verdict verdict = judge(keeper, &place, clock_now_ms());

    atomic_store(&keeper->verdict, (int)verdict);
    atomic_store(&keeper->is_known, true);
    warn_once(keeper, &place, verdict);
    if (verdict == PLACE_REBUILD && !rebuild(keeper, &place, err))
        return false;
    if (!repair_marks(keeper->repair, clock_at_ms(), err) ||
        !repair_reconcile(keeper->repair, clock_at_ms(), err))
        return false;
    return verdict != PLACE_GOOD || trim(keeper, &place, err);
}

/*
 * Redis first: its position only grows, so that it is not beyond the stream's end when that is read
 * afterwards. PostgreSQL's answer is needed even when Redis is empty, so it decides last.
 */
static bool look(struct keeper *self, struct place *place, struct error *err)
{
    struct stream_state stream;
    bool is_redis_up = look_at_redis(self, place, err);

    atomic_store(&self->is_redis_up, is_redis_up);
    if (!is_redis_up)
        return error_wrap(err, "keeper");
    if (!stream_get_state(self->options.bus, self->options.partition, &stream, err)) {
        /* Gateway or ingest makes it; was it deleted, the readers tell what is lost: stream_gap. */
        if (err->kind == ERROR_INVALID)
            return error_set(err, ERROR_UNAVAILABLE, "keeper: partition %u has no stream yet",
                             self->options.partition);
        return error_wrap(err, "keeper");
    }
    place->first_seq = stream.first_seq;
    place->last_seq = stream.last_seq;
    /* Until PostgreSQL answers, what Redis alone tells is shown: it may have to wait for it. */
    atomic_store(&self->verdict,
                 !place->has_position || place->is_rebuilding ? PLACE_REBUILD : PLACE_GOOD);
    atomic_store(&self->is_known, true);

    bool is_pg_up = look_at_pg(self, place, err);

    atomic_store(&self->is_pg_up, is_pg_up);
    return is_pg_up || error_wrap(err, "keeper");
}

static bool look_at_redis(struct keeper *self, struct place *place, struct error *err)
{
    AUTO(redis_reply_free) redisReply *position = NULL;
    AUTO(redis_reply_free) redisReply *state = NULL;
    char position_key[BUCKET_KEY_MAX];
    char state_key[BUCKET_KEY_MAX];

    bucket_key_position(position_key, self->options.partition);
    bucket_key_state(state_key, self->options.partition);
    if (!redis_text(self->redis, &position, err, "GET %s", position_key) ||
        !redis_text(self->redis, &state, err, "HGET %s rebuild", state_key))
        return false;
    place->has_position = position->type == REDIS_REPLY_STRING;
    place->position = place->has_position ? strtoull(position->str, NULL, 10) : 0;
    place->is_rebuilding = state->type == REDIS_REPLY_STRING;
    return true;
}

static bool look_at_pg(struct keeper *self, struct place *place, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char partition[12];
    struct pg_param params[] = {{.value = partition}};

    snprintf(partition, sizeof(partition), "%u", self->options.partition);
    if (!pg_query(self->pg, "position", position_sql, params, 1, &rows, err))
        return false;
    place->pg_position = PQntuples(rows) == 0 ? 0 : rows_sequence(rows, 0, 0);
    place->skipped_to = PQntuples(rows) == 0 ? 0 : rows_sequence(rows, 0, 1);
    return true;
}

/* What the leader of a cluster does not know yet is not lost: it gets BEYOND_SURE_MS to know it. */
static enum place_verdict judge(struct keeper *self, const struct place *place, int64_t now_ms)
{
    if (!place_is_beyond_end(place))
        self->beyond_since_ms = 0;
    else if (self->beyond_since_ms == 0)
        self->beyond_since_ms = now_ms;
    if (self->beyond_since_ms != 0 && now_ms - self->beyond_since_ms < BEYOND_SURE_MS)
        return PLACE_GOOD;
    return place_judge(place);
}

/* The rebuild's snapshot was later than the mark; a newer mark stays. */
static bool forget_skipped(struct keeper *self, const struct place *place, struct error *err)
{
    char partition[12], seq[24];
    struct pg_param params[] = {{.value = partition}, {.value = seq}};

    snprintf(partition, sizeof(partition), "%u", self->options.partition);
    snprintf(seq, sizeof(seq), "%" PRIu64, place->skipped_to);
    return pg_query(self->pg, "skipped", skipped_sql, params, 2, NULL, err);
}

static bool rebuild(struct keeper *self, const struct place *place, struct error *err)
{
    const struct rebuild_options options = {.partition = self->options.partition,
                                            .partition_count = self->options.partition_count,
                                            .pg = self->pg,
                                            .redis = self->redis,
                                            .metrics = self->options.metrics,
                                            .query_ms = self->options.pg_ms,
                                            .on_progress = self->options.on_progress,
                                            .ctx = self->options.ctx};
    char expected[24] = "";

    /* It counts already, while the rest is missing, or what it has is too much. */
    if (place->is_rebuilding || place->skipped_to != 0)
        snprintf(expected, sizeof(expected), "*");
    else if (place->has_position)
        snprintf(expected, sizeof(expected), "%" PRIu64, place->position);
    if (!rebuild_run(&options, expected, place->first_seq, err) ||
        (place->skipped_to != 0 && !forget_skipped(self, place, err)))
        return false;
    atomic_store(&self->verdict, PLACE_GOOD);
    return true;
}

static void warn_once(struct keeper *self, const struct place *place, enum place_verdict verdict)
{
    bool is_behind = verdict == PLACE_STREAM_BEHIND;

    if (is_behind && !self->is_behind)
        log_error("stream_behind", "partition=%u stream_last=%" PRIu64 " position=%" PRIu64,
                  self->options.partition, place->last_seq, place->position);
    self->is_behind = is_behind;
}

static bool trim(struct keeper *self, const struct place *place, struct error *err)
{
    int64_t now_ms = clock_now_ms();
    uint64_t both = place->position < place->pg_position ? place->position : place->pg_position;
    uint64_t below;

    /* A position beyond the end tells nothing about the messages that will get those numbers. */
    if (!place->has_position || place->pg_position > place->last_seq)
        return true;
    trim_sample(&self->trim, place->last_seq, now_ms);
    if (now_ms - self->trimmed_ms < self->options.trim_interval_ms)
        return true;
    self->trimmed_ms = now_ms;
    below = trim_below(&self->trim, both, now_ms);
    if (below <= place->first_seq)
        return true;
    if (!stream_trim(self->options.bus, self->options.partition, below, err))
        return error_wrap(err, "trim");
    metrics_add(self->options.metrics, METRIC_analytics_trimmed_messages_total,
                (int64_t)(below - place->first_seq));
    log_debug("stream_trimmed", "partition=%u below=%" PRIu64, self->options.partition, below);
    return true;
}

struct keeper_health keeper_health(const struct keeper *keeper)
{
    return (struct keeper_health){
        .is_known = atomic_load(&keeper->is_known),
        .is_pg_up = atomic_load(&keeper->is_pg_up),
        .is_redis_up = atomic_load(&keeper->is_redis_up),
        .verdict = (enum place_verdict)atomic_load(&keeper->verdict),
    };
}
