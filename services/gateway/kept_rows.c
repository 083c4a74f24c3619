#include "kept_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kept_rows_add(struct kept_rows *rows, const struct kept_row *row, struct error *err)
{
    struct kept_row *own = &rows->rows[rows->count];
    size_t size_bytes = row->batch.size_bytes;

    if (rows->count == KEPT_ROWS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d rows", KEPT_ROWS_MAX);
    *own = *row;
    own->owned = malloc(size_bytes > 0 ? size_bytes : 1);
    if (own->owned == NULL)
        return error_set(err, ERROR_LIMIT, "no memory for %zu bytes", size_bytes);
    if (size_bytes > 0)
        memcpy(own->owned, row->batch.bytes, size_bytes);
    own->batch.bytes = own->owned;
    rows->size_bytes += size_bytes;
    rows->count++;
    return true;
}

bool kept_rows_has_room(const struct kept_rows *rows, const struct kept_limits *limits,
                        size_t size_bytes, uint32_t events)
{
    uint64_t sum = events;

    if (rows->count == 0)
        return true;
    for (size_t i = 0; i < rows->count; i++)
        sum += rows->rows[i].batch.events;
    return rows->count < limits->rows_max && rows->count < KEPT_ROWS_MAX &&
           rows->size_bytes + size_bytes <= limits->bytes_max && sum <= limits->events_max;
}

void kept_rows_reset(struct kept_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->rows[i].owned);
    rows->count = 0;
    rows->size_bytes = 0;
}

size_t kept_rows_count(const struct kept_rows *rows, enum kept_fate fate)
{
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++)
        count += rows->rows[i].fate == fate;
    return count;
}

void kept_batch_id(const struct kept_batch *batch, char out[KEPT_KEY_SIZE])
{
    size_t size = 0;

    for (size_t i = 0; i < sizeof(batch->gateway_id); i++)
        size += (size_t)snprintf(out + size, KEPT_KEY_SIZE - size, "%02x", batch->gateway_id[i]);
    (void)snprintf(out + size, KEPT_KEY_SIZE - size,
                   ".%" PRIu32 ".%" PRIu32 ".%" PRIu64 ".%" PRIu32, batch->thread, batch->partition,
                   batch->batch_no, batch->attempt_k);
}
