#include "partitions.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "day.h"
#include "event/event.h"

#include <stdio.h>
#include <string.h>

enum { SQL_MAX = 1024, TABLE_MAX = 64 };

/* Advisory locks of this database that are ours: (LOCK_CLASS, what). */
#define LOCK_MAKE "SELECT pg_advisory_xact_lock(1633971303, 2)"
#define LOCK_DROP "SELECT pg_try_advisory_lock(1633971303, 3)"
#define FREE_DROP "SELECT pg_advisory_unlock(1633971303, 3)"

struct parent {
    const char *table, *prefix;
    /* The bounds of a day, as they stand in FOR VALUES FROM ('...'). */
    void (*format_bound)(int64_t day, char out[DAY_UUID_SIZE]);
};

static void format_instant(int64_t day, char out[DAY_UUID_SIZE])
{
    char text[DAY_TEXT_SIZE];

    day_format_text(day, text);
    snprintf(out, DAY_UUID_SIZE, "%s 00:00:00+00", text);
}

static const struct parent parents[] = {
    {"events", "events_", day_format_uuid},
    {"batches", "batches_", format_instant},
};

/* True when the day's table is a partition already; one on its way out takes no rows any more. */
static bool is_attached(struct pg *pg, const char *table, bool *out_attached, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    struct pg_param param = {.value = table};

    if (!pg_query(
            pg, NULL,
            "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass($1) AND NOT inhdetachpending",
            &param, 1, &result, err))
        return false;
    *out_attached = PQntuples(result) > 0;
    return true;
}

/* In one transaction, so that a table that was not attached does not stay behind. */
static bool attach(struct pg *pg, const struct parent *parent, const char *table, int64_t day,
                   struct error *err)
{
    char from[DAY_UUID_SIZE];
    char to[DAY_UUID_SIZE];
    char sql[SQL_MAX];
    bool is_there = false;

    parent->format_bound(day, from);
    parent->format_bound(day + 1, to);
    snprintf(sql, sizeof(sql),
             "CREATE TABLE IF NOT EXISTS %s (LIKE %s INCLUDING ALL);"
             " ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')",
             table, parent->table, parent->table, table, from, to);
    if (!pg_begin(pg, "", err))
        return false;
    if (pg_query(pg, NULL, LOCK_MAKE, NULL, 0, NULL, err) &&
        is_attached(pg, table, &is_there, err) && (is_there || pg_script(pg, sql, err)))
        return pg_commit(pg, err);
    pg_rollback(pg);
    return false;
}

bool partitions_make(struct pg *pg, int64_t day, struct error *err)
{
    char name[DAY_NAME_SIZE];

    day_format_name(day, name);
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        char table[TABLE_MAX];
        bool is_there = false;

        snprintf(table, sizeof(table), "%s%s", parents[i].prefix, name);
        if (!is_attached(pg, table, &is_there, err) ||
            (!is_there && !attach(pg, &parents[i], table, day, err)))
            return error_wrap(err, table);
    }
    return true;
}

/*
 * Uniques of a day outlive its events. A day here is that of the ids, as everywhere in events. It
 * is counted once: reading all of it is dear, and dropping it may have to be tried again and again.
 */
static bool count_visitors(struct pg *pg, const char *table, int64_t day, struct error *err)
{
    char text[DAY_TEXT_SIZE];
    char sql[SQL_MAX];

    day_format_text(day, text);
    snprintf(sql, sizeof(sql),
             "INSERT INTO ad_day_visitors (day, ad_id, visitors)"
             " SELECT '%s', ad_id, count(DISTINCT visitor) FROM %s"
             " WHERE type = %d AND reason = %d AND visitor IS NOT NULL"
             " AND NOT EXISTS (SELECT FROM ad_day_visitors WHERE day = '%s') GROUP BY ad_id",
             text, table, EVENT_CLICK, EVENT_VALID, text);
    return pg_query(pg, NULL, sql, NULL, 0, NULL, err);
}

/* A table's way out; state is 'a' attached, 'p' its detaching was interrupted, 'd' detached. */
static bool drop_table(struct pg *pg, const struct parent *parent, const char *table, char state,
                       struct error *err)
{
    char sql[SQL_MAX];

    if (state != 'd') {
        snprintf(sql, sizeof(sql), "ALTER TABLE %s DETACH PARTITION %s %s", parent->table, table,
                 state == 'p' ? "FINALIZE" : "CONCURRENTLY");
        if (!pg_query(pg, NULL, sql, NULL, 0, NULL, err))
            return false;
    }
    snprintf(sql, sizeof(sql), "DROP TABLE %s", table);
    return pg_query(pg, NULL, sql, NULL, 0, NULL, err);
}

static bool drop_old(struct pg *pg, const struct parent *parent, int64_t first_kept,
                     size_t *out_dropped, struct error *err)
{
    AUTO(pg_result_clear) PGresult *tables = NULL;
    char pattern[TABLE_MAX];
    struct pg_param param = {.value = pattern};

    snprintf(pattern, sizeof(pattern), "^%s[0-9]{8}$", parent->prefix);
    if (!pg_query(pg, NULL,
                  "SELECT relname, CASE WHEN inhrelid IS NULL THEN 'd'"
                  " WHEN inhdetachpending THEN 'p' ELSE 'a' END"
                  " FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid"
                  " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
                  " AND relname ~ $1 ORDER BY relname",
                  &param, 1, &tables, err))
        return false;
    for (int i = 0; i < PQntuples(tables); i++) {
        const char *table = PQgetvalue(tables, i, 0);
        int64_t day = 0;

        if (!day_parse_table(table, parent->prefix, &day) || day >= first_kept)
            continue;
        if ((parent == &parents[0] && !count_visitors(pg, table, day, err)) ||
            !drop_table(pg, parent, table, PQgetvalue(tables, i, 1)[0], err))
            return error_wrap(err, table);
        (*out_dropped)++;
    }
    return true;
}

bool partitions_drop(struct pg *pg, int64_t first_kept, size_t *out_dropped, struct error *err)
{
    AUTO(pg_result_clear) PGresult *locked = NULL;
    struct error unlock = {0};
    bool is_done = true;

    *out_dropped = 0;
    if (!pg_query(pg, NULL, LOCK_DROP, NULL, 0, &locked, err))
        return error_wrap(err, "partitions");
    if (PQgetvalue(locked, 0, 0)[0] != 't')
        return true; /* another process is at it */
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]) && is_done; i++)
        is_done = drop_old(pg, &parents[i], first_kept, out_dropped, err);
    /* The lock goes with the connection at the latest. */
    if (!pg_query(pg, NULL, FREE_DROP, NULL, 0, NULL, &unlock))
        pg_disconnect(pg);
    return is_done || error_wrap(err, "partitions");
}
