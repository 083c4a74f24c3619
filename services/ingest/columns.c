#include "columns.h"

#include <string.h>

/* From PostgreSQL's catalogue, fixed for ever (pg_type.dat). */
enum {
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_INET = 869,
    OID_TIMESTAMPTZ = 1184,
    OID_UUID = 2950,
};

enum { EVENT_COLUMNS = 11 };

void columns_init(struct columns *columns)
{
    *columns = (struct columns){0};
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        pg_array_init(&columns->arrays[i], OID_INT8);
}

void columns_free(struct columns *columns)
{
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        pg_array_free(&columns->arrays[i]);
    columns->count = 0;
}

/* Empties the arrays and gives each its type. */
static struct pg_array *begin(struct columns *columns, const Oid *types, size_t count)
{
    columns->count = count;
    for (size_t i = 0; i < count; i++) {
        columns->arrays[i].element = types[i];
        pg_array_reset(&columns->arrays[i]);
    }
    return columns->arrays;
}

static void add_text(struct pg_array *array, const char *text)
{
    pg_array_add_bytes(array, text, strlen(text));
}

void columns_heads(struct columns *columns, const struct batch *batch)
{
    static const Oid types[] = {OID_TIMESTAMPTZ, OID_UUID, OID_INT4, OID_INT8, OID_INT8,
                                OID_INT4,        OID_INT4, OID_INT4, OID_INT8, OID_INT8};
    struct pg_array *array = begin(columns, types, sizeof(types) / sizeof(types[0]));

    for (size_t i = 0; i < batch->head_count; i++) {
        const struct batch_head *head = &batch->heads[i];

        if (!head->is_filed)
            continue;
        pg_array_add_time_ms(&array[0], head->header.sent_at_ms);
        pg_array_add_bytes(&array[1], head->header.gateway_id, sizeof(head->header.gateway_id));
        pg_array_add_int32(&array[2], (int32_t)head->header.thread);
        pg_array_add_int64(&array[3], (int64_t)head->header.batch_no);
        pg_array_add_int64(&array[4], (int64_t)head->seq);
        pg_array_add_int32(&array[5], (int32_t)head->events);
        pg_array_add_int32(&array[6], (int32_t)(head->events - head->letters));
        pg_array_add_int32(&array[7], (int32_t)head->letters);
        pg_array_add_int64(&array[8], (int64_t)head->header.settled_below);
        pg_array_add_int64(&array[9], (int64_t)head->header.accepted);
    }
}

/* As batch_ranges.fate counts them. */
enum { FATE_SPOOLED = 1, FATE_ABANDONED = 2 };

static void add_ranges(struct pg_array *array, const struct codec_header *header,
                       const struct codec_ranges *ranges, int16_t fate)
{
    for (size_t i = 0; i < ranges->count; i++) {
        pg_array_add_bytes(&array[0], header->gateway_id, sizeof(header->gateway_id));
        pg_array_add_int32(&array[1], (int32_t)header->thread);
        pg_array_add_int16(&array[2], fate);
        pg_array_add_int64(&array[3], (int64_t)ranges->rows[i].first);
        pg_array_add_int64(&array[4], (int64_t)ranges->rows[i].last);
        pg_array_add_int64(&array[5], (int64_t)ranges->rows[i].events);
        pg_array_add_time_ms(&array[6], header->sent_at_ms);
    }
}

void columns_ranges(struct columns *columns, const struct batch *batch)
{
    static const Oid types[] = {OID_UUID, OID_INT4, OID_INT2,       OID_INT8,
                                OID_INT8, OID_INT8, OID_TIMESTAMPTZ};
    struct pg_array *array = begin(columns, types, sizeof(types) / sizeof(types[0]));

    for (size_t i = 0; i < batch->head_count; i++) {
        const struct codec_header *header = &batch->heads[i].header;

        if (!batch->heads[i].is_filed)
            continue;
        add_ranges(array, header, &header->spooled, FATE_SPOOLED);
        add_ranges(array, header, &header->abandoned, FATE_ABANDONED);
    }
}

/* One array a column, or the same one for all of them: that is a row of COPY. */
static void add_event(struct pg_array *const to[EVENT_COLUMNS], const struct event *event,
                      uint64_t seq)
{
    pg_array_add_bytes(to[0], event->id, sizeof(event->id));
    pg_array_add_int16(to[1], (int16_t)event->type);
    pg_array_add_int16(to[2], (int16_t)event->reason);
    pg_array_add_int32(to[3], (int32_t)event->flags);
    pg_array_add_bytes(to[4], event->ad_id, event->ad_id_size);
    pg_array_add_time_ms(to[5], event->event_at_ms);
    pg_array_add_time_ms(to[6], event->received_at_ms);
    if (event->visitor == 0)
        pg_array_add_null(to[7]);
    else
        pg_array_add_int64(to[7], (int64_t)event->visitor);
    if (event->playback_ms == EVENT_PLAYBACK_ABSENT)
        pg_array_add_null(to[8]);
    else
        pg_array_add_int32(to[8], (int32_t)event->playback_ms);
    pg_array_add_ip(to[9], event->ip.bytes, event->ip.size);
    pg_array_add_int64(to[10], (int64_t)seq);
}

static void add_row(struct pg_array *const to[EVENT_COLUMNS], const struct batch *batch,
                    uint32_t row)
{
    add_event(to, &batch->rows[row].event, batch->heads[batch->rows[row].head].seq);
}

void columns_copy_events(struct pg_array *copy, const struct batch *batch, const uint32_t *rows,
                         size_t row_count)
{
    struct pg_array *to[EVENT_COLUMNS];

    for (size_t i = 0; i < EVENT_COLUMNS; i++)
        to[i] = copy;
    pg_array_reset(copy);
    for (size_t i = 0; i < row_count; i++) {
        pg_array_add_row(copy, EVENT_COLUMNS);
        add_row(to, batch, rows[i]);
    }
}

void columns_events(struct columns *columns, const struct batch *batch, const uint32_t *rows,
                    size_t row_count)
{
    static const Oid types[EVENT_COLUMNS] = {OID_UUID, OID_INT2,        OID_INT2,        OID_INT4,
                                             OID_TEXT, OID_TIMESTAMPTZ, OID_TIMESTAMPTZ, OID_INT8,
                                             OID_INT4, OID_INET,        OID_INT8};
    struct pg_array *array = begin(columns, types, EVENT_COLUMNS);
    struct pg_array *to[EVENT_COLUMNS];

    for (size_t i = 0; i < EVENT_COLUMNS; i++)
        to[i] = &array[i];
    for (size_t i = 0; i < row_count; i++)
        add_row(to, batch, rows[i]);
}

void columns_sums(struct columns *columns, const struct fold *sums)
{
    static const Oid types[] = {OID_TIMESTAMPTZ, OID_TEXT, OID_INT2, OID_INT2, OID_INT8, OID_INT8};
    struct pg_array *array = begin(columns, types, sizeof(types) / sizeof(types[0]));

    for (size_t i = 0; i < sums->count; i++) {
        const struct fold_cell *cell = &sums->cells[i];

        pg_array_add_time_ms(&array[0], cell->quarter_at_ms);
        pg_array_add_bytes(&array[1], cell->ad_id, cell->ad_id_size);
        pg_array_add_int16(&array[2], (int16_t)cell->type);
        pg_array_add_int16(&array[3], (int16_t)cell->reason);
        pg_array_add_int64(&array[4], cell->count);
        pg_array_add_int64(&array[5], (int64_t)cell->last_seq);
    }
}

void columns_marks(struct columns *columns, const struct fold *marks)
{
    static const Oid types[] = {OID_TEXT, OID_TIMESTAMPTZ, OID_INT8};
    struct pg_array *array = begin(columns, types, sizeof(types) / sizeof(types[0]));

    for (size_t i = 0; i < marks->count; i++) {
        const struct fold_cell *cell = &marks->cells[i];

        pg_array_add_bytes(&array[0], cell->ad_id, cell->ad_id_size);
        pg_array_add_time_ms(&array[1], cell->quarter_at_ms);
        pg_array_add_int64(&array[2], (int64_t)cell->last_seq);
    }
}

void columns_corrections(struct columns *columns, const struct batch *batch)
{
    static const Oid types[] = {OID_TIMESTAMPTZ, OID_UUID, OID_INT4, OID_INT8, OID_INT4, OID_INT4};
    struct pg_array *array = begin(columns, types, sizeof(types) / sizeof(types[0]));

    for (size_t i = 0; i < batch->head_count; i++) {
        const struct batch_head *head = &batch->heads[i];

        if (!head->is_new || head->stored == head->events)
            continue;
        pg_array_add_time_ms(&array[0], head->header.sent_at_ms);
        pg_array_add_bytes(&array[1], head->header.gateway_id, sizeof(head->header.gateway_id));
        pg_array_add_int32(&array[2], (int32_t)head->header.thread);
        pg_array_add_int64(&array[3], (int64_t)head->header.batch_no);
        pg_array_add_int32(&array[4], (int32_t)head->stored);
        pg_array_add_int32(&array[5], (int32_t)head->letters);
    }
}

static void add_letter(struct pg_array *array, const struct batch *batch,
                       const struct batch_letter *letter)
{
    const struct event *event = batch_event_of(batch, letter);

    pg_array_add_int64(&array[0], (int64_t)batch->heads[letter->head].seq);
    pg_array_add_int32(&array[1], letter->index);
    add_text(&array[2], letter->code);
    add_text(&array[3], letter->detail);
    pg_array_add_bytes(&array[6], letter->payload, letter->payload_size);
    if (event == NULL) {
        pg_array_add_null(&array[4]);
        pg_array_add_null(&array[5]);
        pg_array_add_null(&array[7]);
        return;
    }
    pg_array_add_bytes(&array[4], event->id, sizeof(event->id));
    pg_array_add_bytes(&array[5], event->ad_id, event->ad_id_size);
    pg_array_add_time_ms(&array[7], event->received_at_ms);
}

void columns_letters(struct columns *columns, const struct batch *batch)
{
    static const Oid types[] = {OID_INT8, OID_INT4, OID_TEXT,  OID_TEXT,
                                OID_UUID, OID_TEXT, OID_BYTEA, OID_TIMESTAMPTZ};
    struct pg_array *array = begin(columns, types, sizeof(types) / sizeof(types[0]));

    for (size_t i = 0; i < batch->letter_count; i++) {
        const struct batch_head *head = &batch->heads[batch->letters[i].head];

        if (!head->is_filed || head->is_new)
            add_letter(array, batch, &batch->letters[i]);
    }
}

bool columns_params(struct columns *columns, struct pg_param *out, struct error *err)
{
    for (size_t i = 0; i < columns->count; i++)
        if (!pg_array_param(&columns->arrays[i], &out[i], err))
            return false;
    return true;
}

size_t columns_rows(const struct columns *columns)
{
    return columns->count == 0 ? 0 : (size_t)columns->arrays[0].count;
}
