#include "audit_sql.h"

#include "base/auto.h"
#include "event/event_id.h"
#include "fresh_sql.h"
#include "query_pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 24, PARAMS_MAX = 8, ROLLBACK_MS = 200 };

#define SPAN                                                                                       \
    "sent_at >= to_timestamp($1::text::bigint / 1000.0)"                                           \
    " AND sent_at < to_timestamp($2::text::bigint / 1000.0)"
#define MINUTE_MS "(extract(epoch FROM date_trunc('minute', sent_at)) * 1000)::bigint"
#define SENT_MS   "(extract(epoch FROM sent_at) * 1000)::bigint"

/*
 * How far the ranges reach that begin before this one. A gateway tells again, within a longer
 * range, what it told in vain, and both may have come: a number counts in the widest one alone,
 * the one with last_no > reach. None lies across another.
 */
#define REACH                                                                                      \
    "coalesce(max(r.last_no) OVER (PARTITION BY r.gateway_id, r.thread, r.partition, r.fate"       \
    "   ORDER BY r.first_no ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS reach"

/* 1, 2 the span, in Unix ms. */
static const char sums_sql[] = "SELECT " MINUTE_MS ", sum(events), sum(stored),"
                               " sum(events - stored - dead), sum(dead), count(*)"
                               " FROM batches WHERE " SPAN " GROUP BY 1";

/* Stored although they were answered 503. A range that grows keeps the time when it was first told,
 * so the span's lanes say which ranges it is about. */
static const char unpromised_sql[] =
    "SELECT " MINUTE_MS ", sum(b.events)"
    " FROM (SELECT r.*, " REACH " FROM batch_ranges r WHERE r.fate = 2"
    "   AND (gateway_id, thread, partition) IN"
    "     (SELECT gateway_id, thread, partition FROM batches WHERE " SPAN ")) r"
    " JOIN batches b USING (gateway_id, thread, partition)"
    " WHERE r.last_no > r.reach AND b.batch_no BETWEEN r.first_no AND r.last_no AND " SPAN
    " GROUP BY 1";

/* The day from which on batches are kept, Unix ms. */
static const char kept_sql[] =
    "SELECT (extract(epoch FROM to_date(right(min(c.relname), 8), 'YYYYMMDD')) * 1000)::bigint"
    " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = 'batches'::regclass AND c.relname ~ '^batches_[0-9]{8}$'";

/*
 * 3 how many lanes, 4 seconds in which a lane counts as heard of. before is the batch that precedes
 * the span's first, final the span's last, newest the lane's last of all.
 */
static const char lanes_sql[] =
    "WITH span AS ("
    "  SELECT gateway_id, thread, partition, min(batch_no) AS low, max(batch_no) AS high,"
    "         count(*) AS batches"
    "  FROM batches WHERE " SPAN " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $3::text::bigint"
    ") SELECT span.gateway_id, span.thread, span.partition, span.low, span.high, span.batches,"
    "         coalesce(before.batch_no, 0), coalesce(before.settled_below, 1),"
    "         coalesce(before.accepted, 0), final.settled_below, final.accepted, final.sent_ms,"
    "         greatest(final.settled_below, newest.settled_below),"
    "         newest.heard_at >= now() - $4::text::bigint * interval '1 second',"
    "         coalesce(sums.events, 0), coalesce(unpromised.events, 0)"
    " FROM span"
    " LEFT JOIN LATERAL (SELECT b.batch_no, b.settled_below, b.accepted FROM batches b"
    "   WHERE (b.gateway_id, b.thread, b.partition)"
    "         = (span.gateway_id, span.thread, span.partition) AND b.batch_no < span.low"
    "   ORDER BY b.batch_no DESC LIMIT 1) before ON true"
    " CROSS JOIN LATERAL (SELECT b.settled_below, b.accepted, " SENT_MS " AS sent_ms FROM batches b"
    "   WHERE (b.gateway_id, b.thread, b.partition)"
    "         = (span.gateway_id, span.thread, span.partition) AND b.batch_no = span.high LIMIT 1"
    "   ) final"
    " CROSS JOIN LATERAL (SELECT b.settled_below, greatest(b.sent_at, b.stored_at) AS heard_at"
    "   FROM batches b WHERE (b.gateway_id, b.thread, b.partition)"
    "         = (span.gateway_id, span.thread, span.partition)"
    "   ORDER BY b.batch_no DESC LIMIT 1) newest"
    " CROSS JOIN LATERAL (SELECT sum(b.events) AS events FROM batches b"
    "   WHERE (b.gateway_id, b.thread, b.partition)"
    "         = (span.gateway_id, span.thread, span.partition)"
    "   AND b.batch_no >= coalesce(before.settled_below, 1)"
    "   AND b.batch_no < final.settled_below) sums"
    " CROSS JOIN LATERAL (SELECT sum(b.events) AS events"
    "   FROM (SELECT r.*, " REACH " FROM batch_ranges r"
    "     WHERE (r.gateway_id, r.thread, r.partition)"
    "           = (span.gateway_id, span.thread, span.partition) AND r.fate = 2) r"
    "   JOIN batches b USING (gateway_id, thread, partition)"
    "   WHERE r.last_no > r.reach"
    "   AND b.batch_no BETWEEN greatest(r.first_no, coalesce(before.settled_below, 1))"
    "   AND least(r.last_no, final.settled_below - 1)) unpromised";

/* 1-3 the lane, 4 first, 5 last number, 6 the number before the first, 7, 8 the span. */
static const char gaps_sql[] =
    "SELECT previous + 1, batch_no - 1, " SENT_MS " FROM ("
    "  SELECT batch_no, sent_at, lag(batch_no, 1, $6::text::bigint) OVER (ORDER BY batch_no)"
    "         AS previous FROM batches"
    "  WHERE gateway_id = $1::text::uuid AND thread = $2::text::integer"
    "  AND partition = $3::text::integer"
    "  AND batch_no BETWEEN $4::text::bigint AND $5::text::bigint) numbered"
    " WHERE batch_no > previous + 1 AND sent_at >= to_timestamp($7::text::bigint / 1000.0)"
    " AND sent_at < to_timestamp($8::text::bigint / 1000.0) ORDER BY batch_no LIMIT 2001";

/* 1-3 the lane, 4 above which number, 5 up to which. */
static const char ranges_sql[] =
    "SELECT r.fate, r.first_no, r.last_no, r.events - coalesce((SELECT sum(b.events)"
    "   FROM batches b WHERE (b.gateway_id, b.thread, b.partition)"
    "         = (r.gateway_id, r.thread, r.partition) AND r.fate = 1"
    "   AND b.batch_no BETWEEN r.first_no AND r.last_no), 0)"
    " FROM (SELECT r.*, " REACH " FROM batch_ranges r"
    "   WHERE r.gateway_id = $1::text::uuid AND r.thread = $2::text::integer"
    "   AND r.partition = $3::text::integer"
    "   AND r.last_no > $4::text::bigint AND r.first_no <= $5::text::bigint) r"
    " WHERE r.last_no > r.reach ORDER BY r.first_no LIMIT 2001";

/* What lanes_sql says of one lane. */
struct lane_row {
    struct audit_lane lane;
    uint64_t low, high, before;
    uint64_t batches;
    uint64_t settled_before, settled_at; /* of the headers that the sum lies between */
    int64_t accepted;                    /* events answered 202 in between, as told */
    int64_t stored;                      /* and found, those without a promise left out */
    int64_t at_ms;
    bool has_sum;
};

struct reading {
    struct pg *pg;
    int64_t deadline_ms;
    struct audit *audit;
    char from[NUMBER_SIZE], to[NUMBER_SIZE];
    int64_t kept_from_ms;
};

static bool read_stored_until(struct reading *self, struct error *err);
static bool read_sums(struct reading *self, struct error *err);
static bool read_unpromised(struct reading *self, struct error *err);
static bool read_lanes(struct reading *self, struct error *err);
static bool judge_lane(struct reading *self, const struct lane_row *row, struct error *err);

static bool ask(struct reading *self, const char *sql, const struct pg_param *params, int count,
                PGresult **out, struct error *err)
{
    return query_has_time(self->pg, self->deadline_ms, err) &&
           pg_query(self->pg, NULL, sql, params, count, out, err);
}

static int64_t number(const PGresult *rows, int row, int column)
{
    return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

static struct pg_param text_of(char text[NUMBER_SIZE], int64_t value)
{
    (void)snprintf(text, NUMBER_SIZE, "%" PRId64, value);
    return (struct pg_param){.value = text};
}

bool audit_sql_read(struct pg *pg, int64_t deadline_ms, struct audit *audit, struct error *err)
{
    struct reading self = {.pg = pg, .deadline_ms = deadline_ms, .audit = audit};
    bool is_done = false;

    (void)text_of(self.from, audit->from_ms);
    (void)text_of(self.to, audit->to_ms);
    if (!query_has_time(pg, deadline_ms, err) ||
        !pg_begin(pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", err))
        return false;
    is_done = read_stored_until(&self, err) && read_sums(&self, err) &&
              read_unpromised(&self, err) && read_lanes(&self, err);
    pg_set_query_ms(pg, ROLLBACK_MS);
    pg_rollback(pg); /* nothing was written */
    audit_close(audit);
    return is_done || error_wrap(err, "audit");
}

static bool read_stored_until(struct reading *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;

    if (!ask(self, SQL_FRESH_MS, NULL, 0, &rows, err))
        return false;
    self->audit->stored_until_ms = number(rows, 0, 0);
    return true;
}

static bool read_sums(struct reading *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    const struct pg_param params[] = {{.value = self->from}, {.value = self->to}};

    if (!ask(self, sums_sql, params, 2, &rows, err))
        return false;
    for (int i = 0; i < PQntuples(rows); i++) {
        const struct audit_minute sums = {.accepted = number(rows, i, 1),
                                          .stored = number(rows, i, 2),
                                          .duplicates = number(rows, i, 3),
                                          .dead = number(rows, i, 4),
                                          .batches = number(rows, i, 5)};

        audit_add_stored(self->audit, number(rows, i, 0), &sums);
    }
    return true;
}

static bool read_unpromised(struct reading *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    const struct pg_param params[] = {{.value = self->from}, {.value = self->to}};

    if (!ask(self, unpromised_sql, params, 2, &rows, err))
        return false;
    for (int i = 0; i < PQntuples(rows); i++) {
        int64_t events = number(rows, i, 1);
        const struct audit_minute sums = {.accepted = -events, .unpromised = events};

        audit_add_stored(self->audit, number(rows, i, 0), &sums);
    }
    return true;
}

static bool read_kept(struct reading *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;

    if (!ask(self, kept_sql, NULL, 0, &rows, err))
        return false;
    self->kept_from_ms = number(rows, 0, 0); /* 0 without a day: nothing was dropped */
    return true;
}

/* A gateway's id carries its start: the batches of an older one may be dropped by now. */
static bool is_whole(const struct reading *self, const char *gateway_id)
{
    uint8_t id[EVENT_ID_SIZE];

    return !event_id_parse(gateway_id, strlen(gateway_id), id) || event_id_version(id) != 7 ||
           event_id_at_ms(id) >= self->kept_from_ms;
}

static void fill_lane(const struct reading *self, const PGresult *rows, int i, struct lane_row *out)
{
    *out = (struct lane_row){
        .lane = {.thread = (uint32_t)number(rows, i, 1),
                 .partition = (uint32_t)number(rows, i, 2),
                 .settled_below = (uint64_t)number(rows, i, 12),
                 .is_heard = PQgetvalue(rows, i, 13)[0] == 't'},
        .low = (uint64_t)number(rows, i, 3),
        .high = (uint64_t)number(rows, i, 4),
        .batches = (uint64_t)number(rows, i, 5),
        .before = (uint64_t)number(rows, i, 6),
        .settled_before = (uint64_t)number(rows, i, 7),
        .settled_at = (uint64_t)number(rows, i, 9),
        .accepted = number(rows, i, 10) - number(rows, i, 8),
        .stored = number(rows, i, 14) - number(rows, i, 15),
        .at_ms = number(rows, i, 11),
        .has_sum = true,
    };
    (void)snprintf(out->lane.gateway_id, sizeof(out->lane.gateway_id), "%s",
                   PQgetvalue(rows, i, 0));
    if (out->before == 0 && !is_whole(self, out->lane.gateway_id)) {
        out->before = out->low - 1;
        out->has_sum = false;
    }
}

static bool read_lanes(struct reading *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char lanes[NUMBER_SIZE];
    char heard[NUMBER_SIZE];
    const struct pg_param params[] = {{.value = self->from},
                                      {.value = self->to},
                                      text_of(lanes, AUDIT_LANES_MAX + 1),
                                      text_of(heard, AUDIT_HEARD_S)};

    if (!read_kept(self, err) || !ask(self, lanes_sql, params, 4, &rows, err))
        return false;
    if (PQntuples(rows) > AUDIT_LANES_MAX)
        return error_set(err, ERROR_INVALID, "over %d lanes in the span", AUDIT_LANES_MAX);
    self->audit->lanes = (size_t)PQntuples(rows);
    for (int i = 0; i < PQntuples(rows); i++) {
        struct lane_row row;

        fill_lane(self, rows, i, &row);
        /* Almost every lane: no number is missing, and the sum is right. */
        if (row.batches == row.high - row.before && (!row.has_sum || row.accepted == row.stored))
            continue;
        if (!judge_lane(self, &row, err))
            return false;
    }
    return true;
}

struct lane_params {
    char thread[NUMBER_SIZE], partition[NUMBER_SIZE];
    char numbers[3][NUMBER_SIZE];
    struct pg_param params[PARAMS_MAX];
};

static void set_lane(struct lane_params *out, const struct audit_lane *lane)
{
    out->params[0] = (struct pg_param){.value = lane->gateway_id};
    out->params[1] = text_of(out->thread, lane->thread);
    out->params[2] = text_of(out->partition, lane->partition);
}

/* Those that reach into the numbers that are looked at; NULL: err says why. */
static bool read_ranges(struct reading *self, const struct lane_row *row,
                        struct audit_range **out_ranges, size_t *out_count, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    struct lane_params lane;
    uint64_t above = row->settled_before - 1 < row->before ? row->settled_before - 1 : row->before;

    set_lane(&lane, &row->lane);
    lane.params[3] = text_of(lane.numbers[0], (int64_t)above);
    lane.params[4] = text_of(lane.numbers[1], (int64_t)row->high);
    if (!ask(self, ranges_sql, lane.params, 5, &rows, err))
        return false;
    *out_count = (size_t)PQntuples(rows);
    self->audit->is_complete &= *out_count <= AUDIT_LANE_ROWS_MAX;
    *out_ranges = calloc(*out_count + 1, sizeof(**out_ranges));
    if (*out_ranges == NULL)
        return error_set(err, ERROR_LIMIT, "no memory for %zu ranges", *out_count);
    for (size_t i = 0; i < *out_count; i++)
        (*out_ranges)[i] = (struct audit_range){
            .fate = (enum audit_fate)number(rows, (int)i, 0),
            .first = (uint64_t)number(rows, (int)i, 1),
            .last = (uint64_t)number(rows, (int)i, 2),
            .events_missing = number(rows, (int)i, 3),
        };
    return true;
}

static bool judge_gaps(struct reading *self, const struct lane_row *row, struct audit_range *ranges,
                       size_t range_count, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    struct lane_params lane;

    set_lane(&lane, &row->lane);
    lane.params[3] = text_of(lane.numbers[0], (int64_t)row->low);
    lane.params[4] = text_of(lane.numbers[1], (int64_t)row->high);
    lane.params[5] = text_of(lane.numbers[2], (int64_t)row->before);
    lane.params[6] = (struct pg_param){.value = self->from};
    lane.params[7] = (struct pg_param){.value = self->to};
    if (!ask(self, gaps_sql, lane.params, 8, &rows, err))
        return false;
    self->audit->is_complete &= PQntuples(rows) <= AUDIT_LANE_ROWS_MAX;
    for (int i = 0; i < PQntuples(rows); i++) {
        const struct audit_gap gap = {.first = (uint64_t)number(rows, i, 0),
                                      .last = (uint64_t)number(rows, i, 1),
                                      .at_ms = number(rows, i, 2)};

        audit_judge_gap(self->audit, &row->lane, ranges, range_count, &gap);
    }
    return true;
}

/*
 * Events answered 202 that are neither stored nor known to wait in a spool. A range that reaches
 * beyond the sum's edges and is not all back yet cannot be shared out: then nothing is said.
 */
static void check_sum(struct reading *self, const struct lane_row *row,
                      const struct audit_range *ranges, size_t range_count)
{
    int64_t missing = row->accepted - row->stored;

    if (!row->has_sum)
        return;
    for (size_t i = 0; i < range_count; i++) {
        const struct audit_range *range = &ranges[i];

        if (range->fate != AUDIT_SPOOLED || range->events_missing == 0 ||
            range->last < row->settled_before || range->first >= row->settled_at)
            continue;
        if (range->first < row->settled_before || range->last >= row->settled_at)
            return;
        missing -= range->events_missing;
    }
    audit_add_difference(self->audit, &row->lane, row->at_ms, missing);
}

static bool judge_lane(struct reading *self, const struct lane_row *row, struct error *err)
{
    AUTO(auto_free) struct audit_range *ranges = NULL;
    size_t range_count = 0;

    if (!read_ranges(self, row, &ranges, &range_count, err) ||
        !judge_gaps(self, row, ranges, range_count, err))
        return false;
    check_sum(self, row, ranges, range_count);
    return true;
}
