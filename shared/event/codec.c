/*
 * Writing goes straight to the wire: it is on the gateway's hot path, and generated code would
 * want every event copied into its own struct first. Reading lets the generated code take each
 * event apart; only the outermost message is walked here, so that a broken event costs itself.
 * The tests hold the two against each other.
 */
#include "event/codec.h"

#include "adledger/v1/events.pb-c.h"
#include "base/arena.h"
#include "base/auto.h"
#include "event/event_id.h"

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,

    SPOOLED_FIELD = 8,
    ABANDONED_FIELD = 9,
    HEADER_FIELD_MAX = 9, /* the batch's own fields are 1 to 9 */
    EVENTS_FIELD = 16,
    VARINT_FIELD_MAX = 11, /* bytes: a tag and 64 bits */
    AD_ID_FIELD = 3,       /* of an event */

    EVENT_READ_MAX = 1024,   /* bytes of one event, unknown fields of later versions included */
    ARENA_BYTES = 64 * 1024, /* what an event of EVENT_READ_MAX can cost at the very worst */
};

/* ---- writing ---- */

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_tag(uint8_t *at, unsigned field, unsigned wire_type)
{
    return put_varint(at, field << 3 | wire_type);
}

/* As proto3 has it, a field with its default value is left out. */
static uint8_t *put_number(uint8_t *at, unsigned field, uint64_t value)
{
    if (value == 0)
        return at;
    return put_varint(put_tag(at, field, WIRE_VARINT), value);
}

static uint8_t *put_bytes(uint8_t *at, unsigned field, const void *bytes, size_t size_bytes)
{
    if (size_bytes == 0)
        return at;
    at = put_varint(put_tag(at, field, WIRE_BYTES), size_bytes);
    memcpy(at, bytes, size_bytes);
    return at + size_bytes;
}

static uint8_t *put_fixed64(uint8_t *at, unsigned field, uint64_t value)
{
    if (value == 0)
        return at;
    at = put_tag(at, field, WIRE_FIXED64);
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

size_t codec_append_event(uint8_t *out, const struct event *event)
{
    uint8_t body[CODEC_EVENT_MAX];
    uint8_t *at = body;
    uint64_t playback = (uint64_t)(event->playback_ms + 1); /* EVENT_PLAYBACK_ABSENT becomes 0 */

    at = put_bytes(at, 1, event->id, sizeof(event->id));
    at = put_number(at, 2, event->type);
    at = put_bytes(at, 3, event->ad_id, event->ad_id_size);
    at = put_number(at, 4, (uint64_t)event->event_at_ms);
    at = put_number(at, 5, (uint64_t)event->received_at_ms);
    at = put_bytes(at, 6, event->ip.bytes, event->ip.size);
    at = put_fixed64(at, 7, event->visitor);
    at = put_number(at, 8, playback);
    at = put_number(at, 9, event->reason);
    at = put_number(at, 10, event->flags);
    return (size_t)(put_bytes(out, EVENTS_FIELD, body, (size_t)(at - body)) - out);
}

static uint8_t *put_ranges(uint8_t *at, unsigned field, const struct codec_ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++) {
        uint8_t body[3 * VARINT_FIELD_MAX];
        uint8_t *end = put_number(body, 1, ranges->rows[i].first);

        end = put_number(end, 2, ranges->rows[i].last);
        end = put_number(end, 3, ranges->rows[i].events);
        at = put_bytes(at, field, body, (size_t)(end - body));
    }
    return at;
}

size_t codec_append_header(uint8_t *out, const struct codec_header *header)
{
    uint8_t *at = out;

    at = put_bytes(at, 1, header->gateway_id, sizeof(header->gateway_id));
    at = put_number(at, 2, header->thread);
    at = put_number(at, 3, header->partition);
    at = put_number(at, 4, header->batch_no);
    at = put_number(at, 5, (uint64_t)header->sent_at_ms);
    at = put_number(at, 6, header->settled_below);
    at = put_number(at, 7, header->accepted);
    at = put_ranges(at, SPOOLED_FIELD, &header->spooled);
    at = put_ranges(at, ABANDONED_FIELD, &header->abandoned);
    return (size_t)(at - out);
}

/* ---- reading: the outermost message ---- */

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* One field of the batch as it stands in the message. */
struct field {
    uint64_t number;
    unsigned wire_type;
    const uint8_t *start; /* of its tag */
    const uint8_t *value; /* after the tag, and after the size of bytes */
    size_t value_size;
};

static bool take_varint(struct cursor *cursor, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* How many bytes the value has; false when the wire type is none that we know. */
static bool take_value_size(struct cursor *cursor, struct field *field, uint64_t *out_size)
{
    struct cursor look = *cursor;
    uint64_t ignored = 0;

    switch (field->wire_type) {
    case WIRE_VARINT:
        if (!take_varint(&look, &ignored))
            return false;
        *out_size = (uint64_t)(look.at - cursor->at);
        return true;
    case WIRE_FIXED64:
        *out_size = 8;
        return true;
    case WIRE_FIXED32:
        *out_size = 4;
        return true;
    case WIRE_BYTES:
        return take_varint(cursor, out_size);
    default:
        return false;
    }
}

static bool take_field(struct cursor *cursor, struct field *out)
{
    uint64_t tag = 0;
    uint64_t size = 0;

    out->start = cursor->at;
    if (!take_varint(cursor, &tag))
        return false;
    out->number = tag >> 3;
    out->wire_type = (unsigned)(tag & 7);
    if (!take_value_size(cursor, out, &size) || size > (uint64_t)(cursor->end - cursor->at))
        return false;
    out->value = cursor->at;
    out->value_size = (size_t)size;
    cursor->at += size;
    return out->number != 0;
}

/* ---- reading: the header ---- */

/* The batch's own fields, one after another, as if they had been sent without the events. */
struct own_fields {
    uint8_t bytes[CODEC_HEADER_MAX];
    size_t size;
};

static bool keep_own_field(struct own_fields *own, const struct field *field,
                           const struct cursor *after)
{
    size_t size = (size_t)(after->at - field->start);

    if (size > sizeof(own->bytes) - own->size)
        return false;
    memcpy(own->bytes + own->size, field->start, size);
    own->size += size;
    return true;
}

/* Walks the whole message once before any event is handed out: a message that is cut short, or
 * that has no proper header, has no events. */
static bool collect_own_fields(struct cursor cursor, struct own_fields *out, struct error *err)
{
    struct field field;

    out->size = 0;
    while (cursor.at < cursor.end) {
        if (!take_field(&cursor, &field))
            return error_set(err, ERROR_INVALID, "codec: the message is no protobuf");
        if (field.number == EVENTS_FIELD && field.wire_type != WIRE_BYTES)
            return error_set(err, ERROR_INVALID, "codec: an event is no message");
        if (field.number <= HEADER_FIELD_MAX && !keep_own_field(out, &field, &cursor))
            return error_set(err, ERROR_INVALID, "codec: the header is too long");
    }
    return true;
}

static bool is_at_ms(int64_t at_ms)
{
    return at_ms >= 0 && at_ms <= EVENT_AT_MS_MAX;
}

static bool are_ranges(Adledger__V1__BatchRange *const *rows, size_t count)
{
    if (count > CODEC_RANGES_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (rows[i]->first == 0 || rows[i]->last < rows[i]->first || rows[i]->last > INT64_MAX ||
            rows[i]->events > INT64_MAX)
            return false;
    return true;
}

static void fill_ranges(Adledger__V1__BatchRange *const *rows, size_t count,
                        struct codec_ranges *out)
{
    out->count = count;
    for (size_t i = 0; i < count; i++)
        out->rows[i] = (struct codec_range){rows[i]->first, rows[i]->last, rows[i]->events};
}

static const char *find_header_fault(const Adledger__V1__EventBatch *batch)
{
    if (batch->gateway_id.len != sizeof(((struct codec_header *)NULL)->gateway_id))
        return "gateway_id is not 16 bytes";
    if (batch->batch_no == 0 || batch->batch_no > INT64_MAX)
        return "batch_no is out of range";
    if (!is_at_ms(batch->sent_at_ms))
        return "sent_at_ms is out of range";
    if (batch->settled_below > INT64_MAX || batch->accepted > INT64_MAX)
        return "a count is out of range";
    if (batch->thread > INT32_MAX || batch->partition > INT32_MAX)
        return "a lane is out of range";
    if (!are_ranges(batch->spooled, batch->n_spooled) ||
        !are_ranges(batch->abandoned, batch->n_abandoned))
        return "a range is out of range";
    return NULL;
}

static void *on_alloc(void *arena, size_t size_bytes)
{
    return arena_alloc(arena, size_bytes);
}

/* The arena is reset as a whole after each message. */
static void on_free(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

static bool read_header(const struct own_fields *own, struct arena *arena, struct codec_header *out,
                        struct error *err)
{
    ProtobufCAllocator allocator = {.alloc = on_alloc, .free = on_free, .allocator_data = arena};
    const Adledger__V1__EventBatch *batch =
        adledger__v1__event_batch__unpack(&allocator, own->size, own->bytes);
    const char *why = batch == NULL ? "it is no EventBatch" : find_header_fault(batch);

    if (why != NULL)
        return error_set(err, ERROR_INVALID, "codec: the header is not valid: %s", why);
    memcpy(out->gateway_id, batch->gateway_id.data, sizeof(out->gateway_id));
    out->thread = batch->thread;
    out->partition = batch->partition;
    out->batch_no = batch->batch_no;
    out->sent_at_ms = batch->sent_at_ms;
    out->settled_below = batch->settled_below;
    out->accepted = batch->accepted;
    fill_ranges(batch->spooled, batch->n_spooled, &out->spooled);
    fill_ranges(batch->abandoned, batch->n_abandoned, &out->abandoned);
    return true;
}

/* ---- reading: one event ---- */

/* The generated struct holds ad_id as a C string, in which a NUL would hide what follows it. */
static bool has_hidden_bytes(const struct field *field, const char *ad_id)
{
    struct cursor cursor = {.at = field->value, .end = field->value + field->value_size};
    struct field inner;
    size_t size = 0;

    while (cursor.at < cursor.end && take_field(&cursor, &inner)) {
        if (inner.number == AD_ID_FIELD)
            size = inner.value_size;
    }
    return size != strlen(ad_id);
}

static const char *find_event_fault(const Adledger__V1__Event *event)
{
    int version = event->event_id.len == EVENT_ID_SIZE ? event_id_version(event->event_id.data) : 0;

    if (version != 7 && version != 8)
        return "event_id is no UUID of version 7 or 8";
    if ((int)event->type <= EVENT_UNSPECIFIED || (int)event->type >= EVENT_TYPE_COUNT)
        return "type is not known";
    if (!event_ad_id_is_valid(event->ad_id, strlen(event->ad_id)))
        return "ad_id is not valid";
    if (!is_at_ms(event_id_at_ms(event->event_id.data)))
        return "event_id's time is out of range";
    if (!is_at_ms(event->event_at_ms))
        return "event_at_ms is out of range";
    if (!is_at_ms(event->received_at_ms))
        return "received_at_ms is out of range";
    if (event->ip.len != 0 && event->ip.len != 4 && event->ip.len != 16)
        return "ip is no address";
    if (event->playback_ms_plus_one > CODEC_PLAYBACK_MAX_MS + 1)
        return "playback_ms_plus_one is out of range";
    if ((int)event->invalid_reason < EVENT_VALID ||
        (int)event->invalid_reason >= EVENT_REASON_COUNT)
        return "invalid_reason is not known";
    if (event->flags > INT32_MAX)
        return "flags are out of range";
    return NULL;
}

static void fill_event(const Adledger__V1__Event *from, struct event *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->id, from->event_id.data, sizeof(out->id));
    out->type = (enum event_type)from->type;
    out->reason = (enum event_reason)from->invalid_reason;
    out->flags = from->flags;
    out->ad_id_size = (uint8_t)strlen(from->ad_id);
    memcpy(out->ad_id, from->ad_id, out->ad_id_size);
    out->ip.size = (uint8_t)from->ip.len;
    if (from->ip.len > 0)
        memcpy(out->ip.bytes, from->ip.data, from->ip.len);
    out->visitor = from->visitor;
    out->event_at_ms = from->event_at_ms;
    out->received_at_ms = from->received_at_ms;
    out->playback_ms = (int64_t)from->playback_ms_plus_one - 1;
}

/* NULL: out is an event; else why it is none. */
static const char *read_event(const struct field *field, struct arena *arena, struct event *out)
{
    ProtobufCAllocator allocator = {.alloc = on_alloc, .free = on_free, .allocator_data = arena};
    const Adledger__V1__Event *event = NULL;
    const char *why = NULL;

    if (field->value_size > EVENT_READ_MAX)
        return "the event is too long";
    arena_reset(arena);
    event = adledger__v1__event__unpack(&allocator, field->value_size, field->value);
    if (event == NULL)
        return "the event is no protobuf";
    why = has_hidden_bytes(field, event->ad_id) ? "ad_id is not valid" : find_event_fault(event);
    if (why == NULL)
        fill_event(event, out);
    return why;
}

static bool read_events(struct cursor cursor, struct arena *arena, codec_each_fn each, void *ctx)
{
    struct field field;
    struct event event;
    size_t index = 0;

    while (cursor.at < cursor.end && take_field(&cursor, &field)) {
        if (field.number != EVENTS_FIELD)
            continue;
        const char *why = read_event(&field, arena, &event);
        if (!each(ctx, index++, why == NULL ? &event : NULL, why))
            return false;
    }
    return true;
}

bool codec_read_batch(const uint8_t *bytes, size_t size_bytes, struct codec_header *out_header,
                      codec_each_fn each, void *ctx, struct error *err)
{
    const struct cursor start = {.at = bytes, .end = bytes + size_bytes};
    AUTO(arena_free) struct arena arena = {0};
    struct own_fields own;

    if (!collect_own_fields(start, &own, err))
        return false;
    if (!arena_init(&arena, ARENA_BYTES))
        return error_set(err, ERROR_LIMIT, "codec: no memory to read a batch");
    if (!read_header(&own, &arena, out_header, err))
        return false;
    return read_events(start, &arena, each, ctx) ||
           error_set(err, ERROR_LIMIT, "codec: the reader stopped within a batch");
}

bool codec_find_event(const uint8_t *bytes, size_t size_bytes, size_t index,
                      const uint8_t **out_event, size_t *out_size_bytes)
{
    struct cursor cursor = {.at = bytes, .end = bytes + size_bytes};
    struct field field;

    while (cursor.at < cursor.end && take_field(&cursor, &field)) {
        if (field.number != EVENTS_FIELD || field.wire_type != WIRE_BYTES)
            continue;
        if (index-- == 0) {
            *out_event = field.start;
            *out_size_bytes = (size_t)(cursor.at - field.start);
            return true;
        }
    }
    return false;
}
