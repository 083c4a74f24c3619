#include "ads.h"

#include "base/auto.h"
#include "clients/pg.h"

enum { OID_TEXT = 25 };

static const char sql_known_ads[] =
    "SELECT id FROM ads WHERE id = ANY($1::text[]) ORDER BY id COLLATE \"C\"";

static bool is_open(const struct batch_row *row)
{
    return row->fate == ROW_PENDING && (row->event.flags & EVENT_AD_UNRESOLVED) != 0;
}

bool ads_resolve(struct pg *pg, struct batch *batch, struct error *err)
{
    AUTO(pg_result_clear) PGresult *ads = NULL;
    AUTO(pg_array_free) struct pg_array ids;
    struct pg_param param;

    pg_array_init(&ids, OID_TEXT);
    if (batch->unresolved_count == 0)
        return true;
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct event *event = &batch->rows[i].event;

        if (is_open(&batch->rows[i]))
            pg_array_add_bytes(&ids, event->ad_id, event->ad_id_size);
    }
    if (!pg_array_param(&ids, &param, err) ||
        !pg_query(pg, "known_ads", sql_known_ads, &param, 1, &ads, err))
        return error_wrap(err, "ads");
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct batch_row *row = &batch->rows[i];

        if (is_open(row) && !pg_rows_have(ads, row->event.ad_id) &&
            !batch_set_aside(batch, i, LETTER_UNKNOWN_AD, NULL, "the ad is not in the catalogue",
                             err))
            return false;
    }
    return true;
}
