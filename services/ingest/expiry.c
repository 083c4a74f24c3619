#include "expiry.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "day.h"

#include <stdio.h>
#include <stdlib.h>

/* Of two processes one passes over the rows that the other is at. 1 day, 2 most rows. */
static const char sql_ranges[] =
    "DELETE FROM batch_ranges WHERE ctid = ANY(ARRAY("
    "  SELECT ctid FROM batch_ranges WHERE told_at < $1::date::timestamp AT TIME ZONE 'UTC'"
    "  LIMIT $2::int FOR UPDATE SKIP LOCKED))";
static const char sql_letters[] =
    "DELETE FROM dead_letters WHERE ctid = ANY(ARRAY("
    "  SELECT ctid FROM dead_letters WHERE dead_at < $1::date::timestamp AT TIME ZONE 'UTC'"
    "  LIMIT $2::int FOR UPDATE SKIP LOCKED))";

static bool drop(struct pg *pg, const char *sql, int64_t first_kept_day, size_t *out_dropped,
                 struct error *err)
{
    char day[DAY_TEXT_SIZE];
    char most[12];
    struct pg_param params[] = {{.value = day}, {.value = most}};
    size_t dropped = EXPIRY_ROWS;

    day_format_text(first_kept_day, day);
    snprintf(most, sizeof(most), "%d", EXPIRY_ROWS);
    *out_dropped = 0;
    while (dropped == EXPIRY_ROWS) {
        AUTO(pg_result_clear) PGresult *result = NULL;

        if (!pg_query(pg, NULL, sql, params, 2, &result, err))
            return error_wrap(err, "expiry");
        dropped = strtoull(PQcmdTuples(result), NULL, 10);
        *out_dropped += dropped;
    }
    return true;
}

bool expiry_drop_ranges(struct pg *pg, int64_t first_kept_day, size_t *out_dropped,
                        struct error *err)
{
    return drop(pg, sql_ranges, first_kept_day, out_dropped, err);
}

bool expiry_drop_letters(struct pg *pg, int64_t first_kept_day, size_t *out_dropped,
                         struct error *err)
{
    return drop(pg, sql_letters, first_kept_day, out_dropped, err);
}
