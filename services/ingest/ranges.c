#include "ranges.h"

#include "clients/pg.h"
#include "columns.h"

#include <inttypes.h>
#include <stdio.h>

enum { PARTITION_TEXT_SIZE = 12 };

/* 1 partition, 2-8 columns_ranges. Equal keys of one statement are folded first. */
static const char sql_ranges[] =
    "INSERT INTO batch_ranges (gateway_id, thread, partition, fate, first_no, last_no, events,"
    "                          told_at)"
    " SELECT gateway_id, thread, $1::int4, fate, first_no, max(last_no), max(events), min(told_at)"
    " FROM unnest($2::uuid[], $3::int4[], $4::int2[], $5::int8[], $6::int8[], $7::int8[],"
    "             $8::timestamptz[])"
    "      AS told (gateway_id, thread, fate, first_no, last_no, events, told_at)"
    " GROUP BY gateway_id, thread, fate, first_no"
    " ON CONFLICT (gateway_id, thread, partition, fate, first_no) DO UPDATE"
    " SET last_no = greatest(batch_ranges.last_no, excluded.last_no),"
    "     events = greatest(batch_ranges.events, excluded.events),"
    "     told_at = least(batch_ranges.told_at, excluded.told_at)"
    " WHERE excluded.last_no > batch_ranges.last_no OR excluded.events > batch_ranges.events"
    "    OR excluded.told_at < batch_ranges.told_at";

bool ranges_keep(struct pg *pg, struct columns *columns, const struct batch *batch,
                 struct error *err)
{
    char partition[PARTITION_TEXT_SIZE];
    struct pg_param params[1 + COLUMNS_MAX] = {{.value = partition}};

    columns_ranges(columns, batch);
    if (columns_rows(columns) == 0)
        return true;
    snprintf(partition, sizeof(partition), "%" PRIu32, batch->partition);
    if (!columns_params(columns, params + 1, err) ||
        !pg_query(pg, "ranges", sql_ranges, params, 1 + (int)columns->count, NULL, err))
        return error_wrap(err, "ranges");
    return true;
}
