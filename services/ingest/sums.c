#include "sums.h"

#include <string.h>

static struct fold_cell key_of(const struct event *event)
{
    struct fold_cell key = {.quarter_at_ms = fold_quarter_of(event->received_at_ms),
                            .type = event->type,
                            .reason = event->reason,
                            .ad_id_size = event->ad_id_size};

    memcpy(key.ad_id, event->ad_id, event->ad_id_size);
    return key;
}

void sums_of_stored(const struct batch *batch, struct fold *quarters, struct fold *totals)
{
    fold_reset(quarters);
    fold_reset(totals);
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct batch_row *row = &batch->rows[i];
        struct fold_cell key;

        if (row->fate != ROW_STORED)
            continue;
        key = key_of(&row->event);
        fold_add(quarters, &key, batch->heads[row->head].seq, 1);
    }
    for (size_t i = 0; i < quarters->count; i++) {
        const struct fold_cell *quarter = &quarters->cells[i];
        struct fold_cell key = *quarter;

        key.quarter_at_ms = 0;
        fold_add(totals, &key, quarter->last_seq, quarter->count);
    }
    fold_sort(quarters);
    fold_sort(totals);
}

void sums_of_missing(const struct batch *batch, uint64_t after_seq, struct fold *marks)
{
    const uint64_t first_seq = batch->heads[0].seq;

    fold_reset(marks);
    if (first_seq > after_seq + 1)
        fold_add(marks, &(struct fold_cell){.type = EVENT_UNSPECIFIED}, first_seq, 1);
    for (size_t i = 0; i < batch->row_count; i++) {
        const struct batch_row *row = &batch->rows[i];
        struct fold_cell key;

        if (row->fate == ROW_STORED)
            continue;
        key = key_of(&row->event);
        key.type = EVENT_UNSPECIFIED;
        key.reason = EVENT_VALID;
        fold_add(marks, &key, batch->heads[row->head].seq, 1);
    }
    fold_sort(marks);
}
