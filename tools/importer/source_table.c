#include "source_table.h"

#include "base/auto.h"
#include "clients/pg.h"

#include <stdio.h>
#include <string.h>

enum {
    ROWS_PER_FETCH = 2000,
    SQL_MAX = 8192,
    CONNECT_MS = 10 * 1000,
    QUERY_MS = 30 * 60 * 1000, /* the first fetch of a view may sort all of it */
    PLACE_SIZE = 160,
};

/* One table: the columns' names and types, and what is taken for what. */
struct table {
    PGresult *catalogue; /* owns the names and types */
    struct column columns[COLUMNS_MAX];
    size_t column_count;
    struct column_plan plan;
};

struct tables {
    struct pg *pg;
    struct table ads, clicks;
    bool has_ads;
};

typedef bool (*row_fn)(void *ctx, size_t row, const PGresult *rows, int index, struct error *err);

/* out_found false: there is no such table on the search path. */
static bool describe(struct tables *self, const struct field_table *fields, const char *name,
                     struct table *out, bool *out_found, struct error *err)
{
    struct pg_param param = {.value = name};

    if (!pg_query(self->pg, NULL,
                  "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
                  " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"
                  " ORDER BY attnum",
                  &param, 1, &out->catalogue, err))
        return false;
    *out_found = PQntuples(out->catalogue) > 0;
    for (int i = 0; i < PQntuples(out->catalogue) && out->column_count < COLUMNS_MAX; i++)
        out->columns[out->column_count++] =
            (struct column){PQgetvalue(out->catalogue, i, 0), PQgetvalue(out->catalogue, i, 1)};
    return !*out_found ||
           columns_plan(fields, name, out->columns, out->column_count, &out->plan, err);
}

/* The target has tables by these names too; it is never its own source. */
static bool refuse_own(const struct table *ads, struct error *err)
{
    for (size_t i = 0; i < ads->column_count; i++)
        if (strcmp(ads->columns[i].name, "archived_at") == 0)
            return error_set(err, ERROR_INVALID,
                             "table ads is adledger's own: the URL's search_path must name the "
                             "earlier tracker's schema first");
    return true;
}

/* The session ends a transaction that waits; ours may, for room on the stream. */
static bool begin(struct tables *self, struct error *err)
{
    return pg_begin(self->pg, "ISOLATION LEVEL REPEATABLE READ READ ONLY", err) &&
           pg_query(self->pg, NULL, "SET LOCAL idle_in_transaction_session_timeout = 0", NULL, 0,
                    NULL, err);
}

static bool map(struct tables *self, struct text *out_words, struct error *err)
{
    bool is_found = false;

    if (!describe(self, &ad_fields, "ads", &self->ads, &self->has_ads, err) ||
        !describe(self, &click_fields, "clicks", &self->clicks, &is_found, err))
        return false;
    if (self->has_ads && !refuse_own(&self->ads, err))
        return false;
    if (!is_found)
        return error_set(err, ERROR_INVALID, "there is no table clicks on the search path");
    if (self->has_ads)
        columns_add_words(&self->ads.plan, self->ads.column_count, out_words);
    else
        text_add_str(out_words, "there is no table ads");
    text_add_char(out_words, '\n');
    columns_add_words(&self->clicks.plan, self->clicks.column_count, out_words);
    text_add_char(out_words, '\n');
    return true;
}

struct tables *tables_open(struct endpoint *postgres, struct text *out_words, struct error *err)
{
    AUTO(tables_close) struct tables *self = calloc(1, sizeof(*self));

    if (self != NULL)
        self->pg = pg_new(&(struct pg_options){.endpoint = postgres,
                                               .application = "adledger import",
                                               .connect_ms = CONNECT_MS,
                                               .query_ms = QUERY_MS});
    if (self == NULL || self->pg == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    if (!begin(self, err) || !map(self, out_words, err))
        return NULL;
    return TAKE(self);
}

void tables_close(struct tables **tables)
{
    struct tables *self = *tables;

    if (self == NULL)
        return;
    pg_result_clear(&self->ads.catalogue);
    pg_result_clear(&self->clicks.catalogue);
    pg_close(&self->pg); /* the transaction only read */
    free(self);
    *tables = NULL;
}

bool tables_have_ads(const struct tables *tables)
{
    return tables->has_ads;
}

static bool declare(struct tables *self, const struct column_plan *plan, struct error *err)
{
    AUTO(text_free) struct text sql;

    text_init(&sql, SQL_MAX);
    text_add_str(&sql, "DECLARE rows NO SCROLL CURSOR FOR ");
    columns_add_select(plan, &sql);
    if (!text_ok(&sql))
        return error_set(err, ERROR_LIMIT, "the columns' names are too long");
    return pg_query(self->pg, NULL, text_str(&sql), NULL, 0, NULL, err);
}

/* Every row of one table, a fetch at a time. */
static bool read_rows(struct tables *self, const struct column_plan *plan, row_fn each, void *ctx,
                      struct error *err)
{
    char fetch[64];
    size_t row = 0;
    int got = 1;

    snprintf(fetch, sizeof(fetch), "FETCH FORWARD %d FROM rows", ROWS_PER_FETCH);
    if (!declare(self, plan, err))
        return error_wrap(err, plan->table);
    while (got > 0) {
        AUTO(pg_result_clear) PGresult *rows = NULL;

        if (!pg_query(self->pg, NULL, fetch, NULL, 0, &rows, err))
            return error_wrap(err, plan->table);
        got = PQntuples(rows);
        for (int i = 0; i < got; i++)
            if (!each(ctx, ++row, rows, i, err))
                return false;
    }
    return pg_query(self->pg, NULL, "CLOSE rows", NULL, 0, NULL, err);
}

struct ad_reading {
    ad_row_fn each;
    void *ctx;
};

static bool on_ad_row(void *ctx, size_t row, const PGresult *rows, int index, struct error *err)
{
    const struct ad_reading *reading = ctx;
    const char *values[AD_FIELD_COUNT];

    for (int i = 0; i < AD_FIELD_COUNT; i++)
        values[i] = PQgetisnull(rows, index, i) ? NULL : PQgetvalue(rows, index, i);
    return reading->each(reading->ctx, row, values, err);
}

bool tables_read_ads(struct tables *tables, ad_row_fn each, void *ctx, struct error *err)
{
    struct ad_reading reading = {each, ctx};

    return read_rows(tables, &tables->ads.plan, on_ad_row, &reading, err);
}

struct click_reading {
    item_fn each;
    void *ctx;
};

static bool on_click_row(void *ctx, size_t row, const PGresult *rows, int index, struct error *err)
{
    const struct click_reading *reading = ctx;
    char place[PLACE_SIZE];
    struct record record;
    struct item item = {.place = place, .record = &record};

    for (int i = 0; i < CLICK_FIELD_COUNT; i++) {
        bool is_null = PQgetisnull(rows, index, i);

        record.values[i] = (struct record_value){is_null ? NULL : PQgetvalue(rows, index, i),
                                                 is_null ? 0 : (size_t)PQgetlength(rows, index, i)};
    }
    if (record.values[CLICK_ID].text != NULL)
        snprintf(place, sizeof(place), "id %s", record.values[CLICK_ID].text);
    else
        snprintf(place, sizeof(place), "row %zu", row);
    return reading->each(reading->ctx, &item, err);
}

bool tables_read_clicks(void *tables, item_fn each, void *ctx, struct error *err)
{
    struct tables *self = tables;
    struct click_reading reading = {each, ctx};

    return read_rows(self, &self->clicks.plan, on_click_row, &reading, err);
}
