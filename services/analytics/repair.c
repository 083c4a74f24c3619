#include "repair.h"

#include "base/auto.h"
#include "changes.h"
#include "clients/pg.h"
#include "clients/redis.h"
#include "meters.h"
#include "rows.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PAGE_ITEMS = 100, /* quarter hours of an ad in one script call; <= CHANGES_ITEMS_MAX */
    MARK_PAGES_MAX = 20,
    QUARTER_MS = 900 * 1000,
    RECONCILE_AFTER_MS = 60 * 1000, /* a quarter hour is closed for so long */
    RECONCILE_QUARTERS_BACK = 8,    /* before the start */
    TEXT_OID = 25,
    INT8_OID = 20,
};

struct repair {
    struct repair_options options;
    struct changes *changes;
    int64_t quarter;                    /* to be compared next; 0: not yet set */
    char after_ad[EVENT_AD_ID_MAX + 1]; /* of that quarter hour, compared up to here */
    char mark_ad[EVENT_AD_ID_MAX + 1];  /* marks tried up to here */
    int64_t mark_quarter;
};

/* One ad's quarter hour in a page: rows first..next-1 of the result. */
struct item {
    int first, next;
    bool is_deferred; /* not in the call */
};

struct page {
    PGresult *rows;
    struct item items[PAGE_ITEMS];
    size_t count;
    struct changes_result result;
    size_t later, repaired;
};

/* Both queries give these columns. */
enum column {
    COLUMN_POSITION,
    COLUMN_AD,
    COLUMN_QUARTER,
    COLUMN_MARK,
    COLUMN_TYPE,
    COLUMN_REASON,
    COLUMN_COUNT,
    COLUMN_LAST_SEQ
};

static const char marks_sql[] =
    "WITH page AS (SELECT ad_id, quarter_at, seq FROM dirty"
    "  WHERE partition = $1::int"
    "    AND (ad_id, quarter_at) > ($2::text, to_timestamp($3::bigint * 900))"
    "  ORDER BY ad_id, quarter_at LIMIT $4::int)"
    " SELECT (SELECT seq FROM positions WHERE partition = $1::int), page.ad_id,"
    "  extract(epoch FROM page.quarter_at)::bigint / 900, page.seq,"
    "  q.type, q.reason, q.count, q.last_seq"
    " FROM page LEFT JOIN ad_quarter q USING (ad_id, quarter_at) ORDER BY 2, 3";

static const char quarter_sql[] =
    "WITH page AS (SELECT DISTINCT ad_id FROM ad_quarter"
    "  WHERE quarter_at = to_timestamp($3::bigint * 900) AND ad_id > $2::text"
    "  ORDER BY ad_id LIMIT $4::int)"
    " SELECT (SELECT seq FROM positions WHERE partition = $1::int), q.ad_id, $3::bigint, 0,"
    "  q.type, q.reason, q.count, q.last_seq"
    " FROM page JOIN ad_quarter q USING (ad_id)"
    " WHERE q.quarter_at = to_timestamp($3::bigint * 900) ORDER BY 2";

/* An ad without a total has a row too: its position counts, and its series are 0. */
static const char totals_sql[] =
    "SELECT p.seq, t.type, t.reason, t.count"
    " FROM positions p LEFT JOIN ad_total t ON t.ad_id = $2::text WHERE p.partition = $1::int";

static const char clear_sql[] =
    "DELETE FROM dirty USING unnest($2::text[], $3::bigint[], $4::bigint[]) AS m(ad, quarter, seq)"
    " WHERE dirty.partition = $1::int AND dirty.ad_id = m.ad"
    "  AND dirty.quarter_at = to_timestamp(m.quarter * 900) AND dirty.seq = m.seq";

struct repair *repair_new(const struct repair_options *options)
{
    AUTO(repair_free) struct repair *repair = calloc(1, sizeof(*repair));

    if (repair == NULL)
        return NULL;
    repair->options = *options;
    repair->changes = changes_new(options->partition, 0);
    if (repair->changes == NULL)
        return NULL;
    return TAKE(repair);
}

void repair_free(struct repair **repair)
{
    if (*repair == NULL)
        return;
    changes_free(&(*repair)->changes);
    free(*repair);
    *repair = NULL;
}

static bool repair_mark_page(struct repair *self, int64_t at_ms, bool *out_is_last,
                             struct error *err);
static bool clear_marks(struct repair *self, const struct page *page, struct error *err);
static bool read_page(struct repair *self, const char *sql, const char *after_ad, int64_t quarter,
                      struct page *page, struct error *err);
static bool run_page(struct repair *self, int64_t at_ms, struct page *page, struct error *err);
static bool add_item(struct repair *self, const struct page *page, const struct item *item,
                     struct error *err);

/* ---- marks ---- */

bool repair_marks(struct repair *repair, int64_t at_ms, struct error *err)
{
    bool is_last = false;

    for (int i = 0; i < MARK_PAGES_MAX && !is_last; i++)
        if (!repair_mark_page(repair, at_ms, &is_last, err))
            return false;
    return true;
}

static bool repair_mark_page(struct repair *self, int64_t at_ms, bool *out_is_last,
                             struct error *err)
{
    struct page page = {0};
    AUTO(pg_result_clear) PGresult *rows = NULL;

    if (!read_page(self, marks_sql, self->mark_ad, self->mark_quarter, &page, err))
        return false;
    rows = page.rows;
    *out_is_last = page.count < PAGE_ITEMS;
    if (*out_is_last) {
        self->mark_ad[0] = '\0'; /* what stays is tried again from the start */
        self->mark_quarter = 0;
    } else {
        int last = page.items[page.count - 1].first;

        snprintf(self->mark_ad, sizeof(self->mark_ad), "%s", rows_text(rows, last, COLUMN_AD));
        self->mark_quarter = rows_number(rows, last, COLUMN_QUARTER);
    }
    return page.count == 0 || (run_page(self, at_ms, &page, err) && clear_marks(self, &page, err));
}

/* A mark goes only with the sequence that was read: a newer one of the same quarter hour stays. */
static bool clear_marks(struct repair *self, const struct page *page, struct error *err)
{
    AUTO(pg_array_free) struct pg_array ads = {0};
    AUTO(pg_array_free) struct pg_array quarters = {0};
    AUTO(pg_array_free) struct pg_array seqs = {0};
    char partition[12];
    struct pg_param params[4] = {{.value = partition}};

    snprintf(partition, sizeof(partition), "%u", self->options.partition);
    pg_array_init(&ads, TEXT_OID);
    pg_array_init(&quarters, INT8_OID);
    pg_array_init(&seqs, INT8_OID);
    for (size_t i = 0; i < page->count; i++) {
        const struct item *item = &page->items[i];
        const char *ad = rows_text(page->rows, item->first, COLUMN_AD);

        if (page->result.items[i] == CHANGES_ITEM_LATER)
            continue;
        pg_array_add_bytes(&ads, ad, strlen(ad));
        pg_array_add_int64(&quarters, rows_number(page->rows, item->first, COLUMN_QUARTER));
        pg_array_add_int64(&seqs, rows_number(page->rows, item->first, COLUMN_MARK));
    }
    if (ads.count == 0)
        return true;
    if (!pg_array_param(&ads, &params[1], err) || !pg_array_param(&quarters, &params[2], err) ||
        !pg_array_param(&seqs, &params[3], err) ||
        !pg_query(self->options.pg, "clear_marks", clear_sql, params, 4, NULL, err))
        return false;
    metrics_add(self->options.metrics, METRIC_analytics_marks_cleared_total, ads.count);
    return true;
}

/* ---- closed quarter hours ---- */

bool repair_reconcile(struct repair *repair, int64_t at_ms, struct error *err)
{
    struct page page = {0};
    AUTO(pg_result_clear) PGresult *rows = NULL;
    int64_t closed = (at_ms - RECONCILE_AFTER_MS) / QUARTER_MS; /* every lower one is */

    if (repair->quarter == 0)
        repair->quarter = closed - RECONCILE_QUARTERS_BACK;
    if (repair->quarter >= closed)
        return true;
    if (!read_page(repair, quarter_sql, repair->after_ad, repair->quarter, &page, err))
        return false;
    rows = page.rows;
    if (page.count > 0 && !run_page(repair, at_ms, &page, err))
        return false;
    if (page.later > 0)
        return true; /* the same page again, when the slower store has come along */
    metrics_add(repair->options.metrics, METRIC_analytics_reconciled_quarters_total,
                (int64_t)page.count);
    if (page.count == PAGE_ITEMS) {
        snprintf(repair->after_ad, sizeof(repair->after_ad), "%s",
                 rows_text(rows, page.items[page.count - 1].first, COLUMN_AD));
        return true;
    }
    repair->after_ad[0] = '\0';
    repair->quarter++;
    return true;
}

/* ---- a page: rows of PostgreSQL become items of one script call ---- */

static bool is_same_item(const PGresult *rows, int one, int other)
{
    return strcmp(rows_text(rows, one, COLUMN_AD), rows_text(rows, other, COLUMN_AD)) == 0 &&
           rows_number(rows, one, COLUMN_QUARTER) == rows_number(rows, other, COLUMN_QUARTER);
}

static bool read_page(struct repair *self, const char *sql, const char *after_ad, int64_t quarter,
                      struct page *page, struct error *err)
{
    char partition[12];
    char quarter_text[24];
    char limit[12];
    struct pg_param params[] = {
        {.value = partition}, {.value = after_ad}, {.value = quarter_text}, {.value = limit}};

    snprintf(partition, sizeof(partition), "%u", self->options.partition);
    snprintf(quarter_text, sizeof(quarter_text), "%" PRId64, quarter);
    snprintf(limit, sizeof(limit), "%d", PAGE_ITEMS);
    if (!pg_query(self->options.pg, sql == marks_sql ? "marks" : "quarter", sql, params, 4,
                  &page->rows, err))
        return error_wrap(err, "repair");
    for (int row = 0; row < PQntuples(page->rows) && page->count < PAGE_ITEMS;) {
        struct item *item = &page->items[page->count++];

        item->first = row;
        while (row < PQntuples(page->rows) && is_same_item(page->rows, item->first, row))
            row++;
        item->next = row;
    }
    return true;
}

/* Ads of other partitions are passed over; their place in the answer is filled in. */
static bool run_page(struct repair *self, int64_t at_ms, struct page *page, struct error *err)
{
    const struct changes_guard guard = {.kind = CHANGES_COUNTING};
    struct changes_result answer;
    size_t next = 0;

    changes_reset(self->changes, at_ms / 1000);
    for (size_t i = 0; i < page->count; i++) {
        struct item *item = &page->items[i];
        const char *ad = rows_text(page->rows, item->first, COLUMN_AD);

        item->is_deferred = event_partition(ad, strlen(ad), self->options.partition_count) !=
                            self->options.partition;
        if (!item->is_deferred && !add_item(self, page, item, err))
            return error_wrap(err, "repair");
    }
    if (!changes_run(self->changes, self->options.redis, &guard, &answer, err))
        return error_wrap(err, "repair");
    if (answer.is_lost)
        return error_set(err, ERROR_UNAVAILABLE, "repair: partition %u has no position",
                         self->options.partition);
    for (size_t i = 0; i < page->count; i++) {
        char verdict = CHANGES_ITEM_EQUAL;

        if (!page->items[i].is_deferred)
            verdict = answer.items[next++];
        page->result.items[i] = verdict;
        page->later += page->result.items[i] == CHANGES_ITEM_LATER;
        page->repaired += page->result.items[i] == CHANGES_ITEM_REPAIRED;
    }
    metrics_add(self->options.metrics, METRIC_analytics_repairs_total, (int64_t)page->repaired);
    if (page->repaired > 0)
        log_info("counters_repaired", "partition=%u quarters=%zu", self->options.partition,
                 page->repaired);
    return true;
}

/* ---- an item: what each series is to be ---- */

struct target {
    bool is_known; /* in Redis or in the rollup */
    int64_t count;
};
struct targets {
    struct target of[EVENT_TYPE_COUNT][EVENT_REASON_COUNT];
    size_t in_redis;
};

/* The series that Redis has and the rollup has not are to be 0. */
static bool find_series(struct repair *self, const char *ad, struct targets *out, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    char key[BUCKET_KEY_MAX];

    bucket_key_totals(key, self->options.partition, ad);
    if (!redis_text(self->options.redis, &reply, err, "HKEYS %s", key))
        return false;
    out->in_redis = reply->elements;
    for (size_t i = 0; i < reply->elements; i++) {
        enum event_type type = EVENT_UNSPECIFIED;
        enum event_reason reason = EVENT_VALID;

        if (series_parse(reply->element[i]->str, (size_t)reply->element[i]->len, &type, &reason))
            out->of[type][reason].is_known = true;
    }
    return true;
}

typedef void (*set_fn)(struct repair *self, const char *ad, const char *series, int64_t quarter,
                       int64_t count);

static void set_quarter(struct repair *self, const char *ad, const char *series, int64_t quarter,
                        int64_t count)
{
    changes_set_quarter(self->changes, ad, series, quarter, count);
}

static void set_total(struct repair *self, const char *ad, const char *series, int64_t quarter,
                      int64_t count)
{
    (void)quarter;
    changes_set_total(self->changes, ad, series, count);
}

static void set_all(struct repair *self, const struct targets *targets, const char *ad,
                    int64_t quarter, set_fn set)
{
    for (int type = EVENT_UNSPECIFIED + 1; type < EVENT_TYPE_COUNT; type++) {
        for (int reason = 0; reason < EVENT_REASON_COUNT; reason++) {
            const struct target *target = &targets->of[type][reason];
            char series[SERIES_MAX];

            if (!target->is_known)
                continue;
            series_format((enum event_type)type, (enum event_reason)reason, series);
            set(self, ad, series, quarter, target->count);
        }
    }
}

/* The quarter hour's own counters are gone: the total is taken whole, while both are level. */
static bool add_total_item(struct repair *self, const char *ad, struct targets *targets,
                           struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char partition[12];
    struct pg_param params[] = {{.value = partition}, {.value = ad}};

    snprintf(partition, sizeof(partition), "%u", self->options.partition);
    if (!pg_query(self->options.pg, "totals", totals_sql, params, 2, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++) {
        if (rows_is_series(rows, row, 1))
            targets->of[rows_number(rows, row, 1)][rows_number(rows, row, 2)] =
                (struct target){true, rows_number(rows, row, 3)};
    }
    changes_begin_total_item(self->changes,
                             PQntuples(rows) == 0 ? 0 : rows_sequence(rows, 0, COLUMN_POSITION));
    set_all(self, targets, ad, 0, set_total);
    return true;
}

static bool add_item(struct repair *self, const struct page *page, const struct item *item,
                     struct error *err)
{
    const char *ad = rows_text(page->rows, item->first, COLUMN_AD);
    int64_t quarter = rows_number(page->rows, item->first, COLUMN_QUARTER);
    uint64_t needed = rows_sequence(page->rows, item->first, COLUMN_MARK);
    struct targets targets = {0};

    if (!find_series(self, ad, &targets, err))
        return false;
    if (!changes_is_kept(self->changes, BUCKET_QUARTER, quarter * (QUARTER_MS / 1000)))
        return add_total_item(self, ad, &targets, err);
    for (int row = item->first; row < item->next; row++) {
        int64_t type = rows_number(page->rows, row, COLUMN_TYPE);
        int64_t reason = rows_number(page->rows, row, COLUMN_REASON);
        uint64_t last = rows_sequence(page->rows, row, COLUMN_LAST_SEQ);

        if (rows_is_series(page->rows, row, COLUMN_TYPE))
            targets.of[type][reason] =
                (struct target){true, rows_number(page->rows, row, COLUMN_COUNT)};
        if (last > needed)
            needed = last;
    }
    changes_begin_item(self->changes, ad, quarter,
                       rows_sequence(page->rows, item->first, COLUMN_POSITION), needed,
                       targets.in_redis);
    set_all(self, &targets, ad, quarter, set_quarter);
    return true;
}
