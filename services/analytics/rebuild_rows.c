#include "rebuild_rows.h"

#include "base/auto.h"
#include "changes.h"
#include "clients/pg.h"
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    CURSOR_ROWS = 5000,
    FLUSH_ARGS = 15000, /* some 3,000 changes: a few milliseconds of Redis */
    SQL_MAX = 1200,
    BOUNDS_MAX = 320,
    DAY_S = 86400,
    HOUR_S = 3600,
    QUARTER_S = 900,
    /* How far an event's id may be from its receipt: a day back, minutes ahead, and some more. */
    ID_BEFORE_S = 26 * 3600,
    ID_AFTER_S = 3600,
};

typedef bool (*row_fn)(struct rebuild *self, const PGresult *rows, int row, void *ctx,
                       struct error *err);

/* Only ads of this partition count. */
static bool is_ours(const struct rebuild *self, const char *ad_id)
{
    return event_partition(ad_id, strlen(ad_id), self->options->partition_count) ==
           self->options->partition;
}

static bool each_of_page(struct rebuild *self, const PGresult *rows, row_fn on_row, void *ctx,
                         struct error *err)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        if (!is_ours(self, rows_text(rows, row, 0)))
            continue;
        if (!on_row(self, rows, row, ctx, err))
            return false;
        if (changes_args(self->changes) >= FLUSH_ARGS && !rebuild_flush(self, err))
            return false;
    }
    return true;
}

/* The first column is the ad. */
static bool each_row(struct rebuild *self, const char *select, row_fn on_row, void *ctx,
                     struct error *err)
{
    struct pg *pg = self->options->pg;
    char sql[SQL_MAX + 64];
    char fetch[64];
    int count = 0;

    snprintf(sql, sizeof(sql), "DECLARE rebuild NO SCROLL CURSOR FOR %s", select);
    snprintf(fetch, sizeof(fetch), "FETCH %d FROM rebuild", CURSOR_ROWS);
    if (!pg_query(pg, NULL, sql, NULL, 0, NULL, err))
        return false;
    do {
        AUTO(pg_result_clear) PGresult *rows = NULL;

        if (!pg_query(pg, NULL, fetch, NULL, 0, &rows, err) ||
            !each_of_page(self, rows, on_row, ctx, err))
            return false;
        count = PQntuples(rows);
    } while (count == CURSOR_ROWS);
    return pg_query(pg, NULL, "CLOSE rebuild", NULL, 0, NULL, err);
}

static void read_series(const PGresult *rows, int row, int type_column, char out[SERIES_MAX])
{
    series_format((enum event_type)rows_number(rows, row, type_column),
                  (enum event_reason)rows_number(rows, row, type_column + 1), out);
}

/* The events received from..to-1: event_id bounds keep PostgreSQL from reading every partition. */
static void format_bounds(int64_t from_s, int64_t to_s, char out[BOUNDS_MAX])
{
    uint64_t first_ms = (uint64_t)(from_s < ID_BEFORE_S ? 0 : from_s - ID_BEFORE_S) * 1000;
    uint64_t last_ms = (uint64_t)(to_s + ID_AFTER_S) * 1000;

    snprintf(out, BOUNDS_MAX,
             "received_at >= to_timestamp(%" PRId64 ") AND received_at < to_timestamp(%" PRId64
             ") AND event_id >= '%08" PRIx64 "-%04" PRIx64 "-0000-0000-000000000000'"
             " AND event_id < '%08" PRIx64 "-%04" PRIx64 "-0000-0000-000000000000'",
             from_s, to_s, first_ms >> 16, first_ms & 0xffff, last_ms >> 16, last_ms & 0xffff);
}

/* ---- totals ---- */

static bool on_total(struct rebuild *self, const PGresult *rows, int row, void *ctx,
                     struct error *err)
{
    char series[SERIES_MAX];

    (void)ctx;
    (void)err;
    if (!rows_is_series(rows, row, 1))
        return true;
    read_series(rows, row, 1, series);
    changes_add_total(self->changes, rows_text(rows, row, 0), series, rows_number(rows, row, 3));
    return true;
}

bool rebuild_load_totals(struct rebuild *self, struct error *err)
{
    return each_row(self, "SELECT ad_id, type, reason, count FROM ad_total", on_total, NULL, err);
}

/* ---- quarter hours, days, last sequences ---- */

static bool on_quarter(struct rebuild *self, const PGresult *rows, int row, void *ctx,
                       struct error *err)
{
    const char *ad = rows_text(rows, row, 0);
    int64_t quarter = rows_number(rows, row, 3);
    int64_t count = rows_number(rows, row, 4);
    char series[SERIES_MAX];

    (void)ctx;
    (void)err;
    if (!rows_is_series(rows, row, 1))
        return true;
    read_series(rows, row, 1, series);
    changes_add_bucket(self->changes, ad, series, BUCKET_QUARTER, quarter * QUARTER_S, count);
    changes_add_bucket(self->changes, ad, series, BUCKET_DAY, quarter * QUARTER_S, count);
    changes_set_last(self->changes, ad, quarter, rows_sequence(rows, row, 5));
    return true;
}

bool rebuild_load_quarters(struct rebuild *self, struct error *err)
{
    char sql[SQL_MAX];

    snprintf(sql, sizeof(sql),
             "SELECT ad_id, type, reason, extract(epoch FROM quarter_at)::bigint / %d, count,"
             " max(last_seq) OVER (PARTITION BY quarter_at, ad_id)"
             " FROM ad_quarter WHERE quarter_at >= to_timestamp(%" PRId64 ")",
             QUARTER_S, self->at_s - BUCKET_QUARTERS_KEPT_S - DAY_S);
    return each_row(self, sql, on_quarter, NULL, err);
}

/* ---- seconds and minutes ---- */

static bool on_second(struct rebuild *self, const PGresult *rows, int row, void *ctx,
                      struct error *err)
{
    const char *ad = rows_text(rows, row, 0);
    int64_t second = rows_number(rows, row, 3);
    int64_t count = rows_number(rows, row, 4);
    char series[SERIES_MAX];

    (void)ctx;
    (void)err;
    if (!rows_is_series(rows, row, 1))
        return true;
    read_series(rows, row, 1, series);
    changes_add_bucket(self->changes, ad, series, BUCKET_SECOND, second, count);
    changes_add_bucket(self->changes, ad, series, BUCKET_MINUTE, second, count);
    return true;
}

bool rebuild_load_minutes(struct rebuild *self, struct error *err)
{
    char bounds[BOUNDS_MAX];
    char sql[SQL_MAX];

    format_bounds(self->at_s - BUCKET_MINUTES_KEPT_S - HOUR_S, self->at_s + HOUR_S, bounds);
    snprintf(sql, sizeof(sql),
             "SELECT ad_id, type, reason, floor(extract(epoch FROM received_at))::bigint, count(*)"
             " FROM events WHERE %s GROUP BY 1, 2, 3, 4",
             bounds);
    return each_row(self, sql, on_second, NULL, err);
}

/* ---- visitors ---- */

/* The visitors of one HyperLogLog, as far as they have been read. */
struct visitors {
    enum bucket_visitors_unit unit;
    char ad[EVENT_AD_ID_MAX + 1];
    int64_t number;
    size_t count;
    uint64_t names[CHANGES_VISITORS_MAX];
};

static void add_visitors(struct rebuild *self, struct visitors *visitors)
{
    if (visitors->count > 0)
        changes_add_visitors(self->changes, visitors->ad, visitors->unit, visitors->number,
                             visitors->names, visitors->count);
    visitors->count = 0;
}

/* Rows come in order of ad and number. */
static bool on_visitor(struct rebuild *self, const PGresult *rows, int row, void *ctx,
                       struct error *err)
{
    struct visitors *visitors = ctx;
    const char *ad = rows_text(rows, row, 0);
    int64_t number = rows_number(rows, row, 1);

    (void)err;
    if (visitors->count == CHANGES_VISITORS_MAX || visitors->number != number ||
        strcmp(visitors->ad, ad) != 0)
        add_visitors(self, visitors);
    snprintf(visitors->ad, sizeof(visitors->ad), "%s", ad);
    visitors->number = number;
    visitors->names[visitors->count++] = (uint64_t)rows_number(rows, row, 2);
    return true;
}

static bool load_visitors(struct rebuild *self, enum bucket_visitors_unit unit, int64_t from_s,
                          int64_t to_s, struct error *err)
{
    AUTO(auto_free) struct visitors *visitors = calloc(1, sizeof(*visitors));
    char bounds[BOUNDS_MAX];
    char sql[SQL_MAX];

    if (visitors == NULL)
        return error_set(err, ERROR_LIMIT, "no memory for visitors");
    visitors->unit = unit;
    format_bounds(from_s, to_s, bounds);
    snprintf(sql, sizeof(sql),
             "SELECT ad_id, floor(extract(epoch FROM received_at))::bigint / %" PRId64 ", visitor"
             " FROM events WHERE %s AND type = %d AND reason = %d AND visitor IS NOT NULL"
             " GROUP BY 1, 2, 3 ORDER BY 1, 2",
             bucket_visitors_unit_s(unit), bounds, EVENT_CLICK, EVENT_VALID);
    if (!each_row(self, sql, on_visitor, visitors, err))
        return false;
    add_visitors(self, visitors);
    return rebuild_flush(self, err);
}

static bool on_visitor_sum(struct rebuild *self, const PGresult *rows, int row, void *ctx,
                           struct error *err)
{
    (void)ctx;
    (void)err;
    changes_add_visitor_sum(self->changes, rows_text(rows, row, 0), rows_number(rows, row, 1));
    return true;
}

/* A day whose rows have gone, or are going, is in ad_day_visitors. */
static bool is_day_summed(struct rebuild *self, int64_t day, bool *out_is, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char sql[SQL_MAX];

    snprintf(sql, sizeof(sql),
             "SELECT 1 FROM ad_day_visitors WHERE day = date '1970-01-01' + %" PRId64 " LIMIT 1",
             day);
    if (!pg_query(self->options->pg, NULL, sql, NULL, 0, &rows, err))
        return false;
    *out_is = PQntuples(rows) > 0;
    return true;
}

/* Days that are kept become HyperLogLogs, older ones a number. */
static bool load_day(struct rebuild *self, int64_t day, int64_t oldest_kept, struct error *err)
{
    char bounds[BOUNDS_MAX];
    char sql[SQL_MAX];
    bool is_summed = false;

    if (!is_day_summed(self, day, &is_summed, err))
        return false;
    if (is_summed)
        return true;
    if (day >= oldest_kept)
        return load_visitors(self, BUCKET_VISITORS_DAY, day * DAY_S, (day + 1) * DAY_S, err);
    format_bounds(day * DAY_S, (day + 1) * DAY_S, bounds);
    snprintf(sql, sizeof(sql),
             "SELECT ad_id, count(DISTINCT visitor) FROM events"
             " WHERE %s AND type = %d AND reason = %d GROUP BY 1",
             bounds, EVENT_CLICK, EVENT_VALID);
    return each_row(self, sql, on_visitor_sum, NULL, err);
}

/* The day of the oldest event, from its id; the present day when there is none. */
static bool find_first_day(struct rebuild *self, int64_t *out_day, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    static const char sql[] = "SELECT replace(left(event_id::text, 13), '-', '')"
                              " FROM events ORDER BY event_id LIMIT 1";

    if (!pg_query(self->options->pg, NULL, sql, NULL, 0, &rows, err))
        return false;
    *out_day = self->at_s / DAY_S;
    if (PQntuples(rows) > 0)
        *out_day = strtoll(rows_text(rows, 0, 0), NULL, 16) / 1000 / DAY_S;
    return true;
}

bool rebuild_load_uniques(struct rebuild *self, struct error *err)
{
    int64_t today = self->at_s / DAY_S;
    int64_t oldest_kept = (self->at_s - BUCKET_DAY_VISITORS_KEPT_S) / DAY_S;
    int64_t day = 0;

    if (!load_visitors(self, BUCKET_VISITORS_MINUTE,
                       self->at_s - BUCKET_MINUTE_VISITORS_KEPT_S - 60, self->at_s + HOUR_S, err) ||
        !load_visitors(self, BUCKET_VISITORS_HOUR,
                       self->at_s - BUCKET_HOUR_VISITORS_KEPT_S - HOUR_S, self->at_s + HOUR_S,
                       err) ||
        !each_row(self, "SELECT ad_id, sum(visitors) FROM ad_day_visitors GROUP BY 1",
                  on_visitor_sum, NULL, err) ||
        !find_first_day(self, &day, err))
        return false;
    /* In order, and one beyond: a gateway's clock may be a little ahead. */
    for (; day <= today + 1; day++)
        if (!load_day(self, day, oldest_kept, err))
            return false;
    return true;
}
