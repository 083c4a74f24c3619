#include "event/decode_check.h"

#include "base/time_text.h"
#include "event/event_id.h"
#include "event/visitor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/*
 * One field's value after its own check. A field with several spellings is parsed once for each;
 * parsed values are compared, so that 1 and "1", or two cases of one UUID, do not disagree.
 */
union parsed {
    struct {
        char text[EVENT_AD_ID_MAX + 1];
        uint8_t size;
    } ad_id;
    enum event_type type;
    int64_t at_ms;
    struct event_ip ip;
    double playback_s;
    struct {
        uint8_t bytes[EVENT_ID_SIZE];
        char text[EVENT_ID_TEXT_SIZE]; /* as the client wrote it */
    } id;
};

typedef bool (*parse_fn)(const struct value *value, union parsed *out, struct faults *faults);
typedef bool (*same_fn)(const union parsed *left, const union parsed *right);

/* ---- the fields, one by one ---- */

static bool wrong_type(struct faults *faults, enum field_id field, const char *wanted)
{
    fault_add(faults, FAULT_INVALID_TYPE, field_name(field), "must be %s", wanted);
    return false;
}

static bool parse_ad_id(const struct value *value, union parsed *out, struct faults *faults)
{
    char digits[24];
    const char *text = value->text;
    size_t size = value->size;

    if (value->kind == VALUE_INTEGER) {
        size = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, value->integer);
        text = digits;
    } else if (value->kind != VALUE_STRING) {
        return wrong_type(faults, FIELD_AD_ID, "a string or an integer");
    }
    if (!event_ad_id_is_valid(text, size)) {
        fault_add(faults, FAULT_INVALID_AD_ID, field_name(FIELD_AD_ID),
                  "must be 1 to %d characters of A-Z, a-z, 0-9, _ and -", EVENT_AD_ID_MAX);
        return false;
    }
    memcpy(out->ad_id.text, text, size);
    out->ad_id.text[size] = '\0';
    out->ad_id.size = (uint8_t)size;
    return true;
}

static bool same_ad_id(const union parsed *left, const union parsed *right)
{
    return strcmp(left->ad_id.text, right->ad_id.text) == 0;
}

static bool parse_type(const struct value *value, union parsed *out, struct faults *faults)
{
    if (value->kind != VALUE_STRING)
        return wrong_type(faults, FIELD_TYPE, "a string");
    out->type = event_type_find(value->text, value->size);
    if (out->type == EVENT_UNSPECIFIED) {
        fault_add(faults, FAULT_INVALID_EVENT_TYPE, field_name(FIELD_TYPE),
                  "must be click, impression or a video event such as complete");
        return false;
    }
    return true;
}

static bool parse_timestamp(const struct value *value, union parsed *out, struct faults *faults)
{
    if (value->kind != VALUE_STRING)
        return wrong_type(faults, FIELD_TIMESTAMP, "a string");
    if (!time_text_parse(value->text, value->size, &out->at_ms)) {
        fault_add(faults, FAULT_INVALID_TIMESTAMP, field_name(FIELD_TIMESTAMP),
                  "must be an RFC 3339 time with its offset, such as 2026-01-02T03:04:05.678Z");
        return false;
    }
    if (out->at_ms < 0 || out->at_ms > EVENT_AT_MS_MAX) {
        fault_add(faults, FAULT_INVALID_TIMESTAMP, field_name(FIELD_TIMESTAMP),
                  "must lie in the years 1970 to 9999");
        return false;
    }
    return true;
}

static bool parse_ip(const struct value *value, union parsed *out, struct faults *faults)
{
    if (value->kind != VALUE_STRING)
        return wrong_type(faults, FIELD_IP, "a string");
    if (!ip_parse(value->text, value->size, &out->ip)) {
        fault_add(faults, FAULT_INVALID_IP, field_name(FIELD_IP),
                  "must be an IPv4 or IPv6 address without prefix, port or zone");
        return false;
    }
    return true;
}

static bool same_ip(const union parsed *left, const union parsed *right)
{
    return left->ip.size == right->ip.size &&
           memcmp(left->ip.bytes, right->ip.bytes, left->ip.size) == 0;
}

static bool parse_playback_time(const struct value *value, union parsed *out, struct faults *faults)
{
    if (value->kind != VALUE_INTEGER && value->kind != VALUE_REAL)
        return wrong_type(faults, FIELD_PLAYBACK_TIME, "a number");
    out->playback_s = value->real;
    if (!(out->playback_s >= 0 && out->playback_s <= EVENT_PLAYBACK_MAX_S)) {
        fault_add(faults, FAULT_INVALID_PLAYBACK_TIME, field_name(FIELD_PLAYBACK_TIME),
                  "must be 0 to %d seconds", EVENT_PLAYBACK_MAX_S);
        return false;
    }
    return true;
}

static bool same_playback_time(const union parsed *left, const union parsed *right)
{
    return left->playback_s == right->playback_s;
}

static bool parse_event_id(const struct value *value, union parsed *out, struct faults *faults)
{
    if (value->kind != VALUE_STRING)
        return wrong_type(faults, FIELD_EVENT_ID, "a string");
    if (!event_id_parse(value->text, value->size, out->id.bytes)) {
        fault_add(faults, FAULT_INVALID_EVENT_ID, field_name(FIELD_EVENT_ID),
                  "must be a UUID such as 0190163d-8694-739b-aea5-966c26f8ad91");
        return false;
    }
    memcpy(out->id.text, value->text, value->size);
    out->id.text[value->size] = '\0';
    return true;
}

static bool same_event_id(const union parsed *left, const union parsed *right)
{
    return memcmp(left->id.bytes, right->id.bytes, EVENT_ID_SIZE) == 0;
}

/* ---- a field with all its spellings ---- */

static const struct {
    parse_fn parse;
    same_fn same; /* NULL: the field has one spelling */
} rules[FIELD_COUNT] = {
    [FIELD_AD_ID] = {parse_ad_id, same_ad_id},
    [FIELD_TYPE] = {parse_type, NULL},
    [FIELD_TIMESTAMP] = {parse_timestamp, NULL},
    [FIELD_IP] = {parse_ip, same_ip},
    [FIELD_PLAYBACK_TIME] = {parse_playback_time, same_playback_time},
    [FIELD_EVENT_ID] = {parse_event_id, same_event_id},
};

enum field_state { STATE_ABSENT, STATE_GOOD, STATE_BAD };

static enum field_state disagree(struct faults *faults, enum field_id field, const char *what)
{
    fault_add(faults, FAULT_CONFLICTING_FIELDS, field_name(field), "%s", what);
    return STATE_BAD;
}

/* A fault for each spelling that is wrong would say the same thing twice: the first one ends it. */
static enum field_state read_field(const struct fields *fields, enum field_id field,
                                   union parsed *out, struct faults *faults)
{
    enum field_state state = STATE_ABSENT;
    enum spelling first = SPELLING_UNKNOWN;
    enum spelling last = SPELLING_UNKNOWN;
    union parsed other;

    field_spellings(field, &first, &last);
    for (enum spelling i = first; i <= last; i++) {
        union parsed *into = state == STATE_ABSENT ? out : &other;

        if (!fields_have(fields, i))
            continue;
        if (!rules[field].parse(&fields->values[i], into, faults))
            return STATE_BAD;
        if (into == &other && !rules[field].same(out, &other))
            return disagree(faults, field, "is given twice, with different values");
        state = STATE_GOOD;
    }
    return state;
}

/* ---- the event ---- */

static void take_ad_id(const struct fields *fields, struct event *event, struct faults *faults)
{
    union parsed value;

    switch (read_field(fields, FIELD_AD_ID, &value, faults)) {
    case STATE_GOOD:
        memcpy(event->ad_id, value.ad_id.text, value.ad_id.size + 1U);
        event->ad_id_size = value.ad_id.size;
        return;
    case STATE_ABSENT:
        fault_add(faults, FAULT_MISSING_FIELD, field_name(FIELD_AD_ID), "must be given");
        return;
    case STATE_BAD:
        return;
    }
}

/* A route that stands for one type does not look at the body's. */
static void take_type(const struct fields *fields, const struct decode_context *context,
                      struct event *event, struct faults *faults)
{
    union parsed value;

    if (context->type != EVENT_UNSPECIFIED) {
        event->type = context->type;
        return;
    }
    switch (read_field(fields, FIELD_TYPE, &value, faults)) {
    case STATE_GOOD:
        event->type = value.type;
        return;
    case STATE_ABSENT:
        fault_add(faults, FAULT_MISSING_FIELD, field_name(FIELD_TYPE), "must be given");
        return;
    case STATE_BAD:
        return;
    }
}

static bool is_near(int64_t at_ms, int64_t received_at_ms)
{
    return at_ms <= received_at_ms + DECODE_CLOCK_AHEAD_MS &&
           at_ms >= received_at_ms - DECODE_CLOCK_BEHIND_MS;
}

static enum field_state take_timestamp(const struct fields *fields, struct event *event,
                                       struct faults *faults)
{
    union parsed value;
    enum field_state state = read_field(fields, FIELD_TIMESTAMP, &value, faults);

    event->event_at_ms = event->received_at_ms;
    if (state != STATE_GOOD)
        return state;
    event->event_at_ms = value.at_ms;
    event->flags |= EVENT_CLIENT_TIME;
    if (!is_near(value.at_ms, event->received_at_ms))
        event->flags |= EVENT_CLOCK_SKEW;
    return state;
}

/* The body's address is checked even where it does not count: a mistake shows itself at once and
 * not on the day the caller gets a server key. */
static void take_ip(const struct fields *fields, const struct decode_context *context,
                    struct event *event, struct faults *faults)
{
    union parsed value;
    enum field_state state = read_field(fields, FIELD_IP, &value, faults);

    event->ip = state == STATE_GOOD && context->trust_ip ? value.ip : context->peer_ip;
}

static void take_playback_time(const struct fields *fields, struct event *event,
                               struct faults *faults)
{
    union parsed value;

    event->playback_ms = EVENT_PLAYBACK_ABSENT;
    if (read_field(fields, FIELD_PLAYBACK_TIME, &value, faults) == STATE_GOOD)
        event->playback_ms = (int64_t)llround(value.playback_s * 1000);
}

/* The header may stand for the body's event_id, or repeat it. The draft of the header's standard
 * writes it in double quotes, most clients write it bare: both are taken. */
static enum field_state take_idempotency_key(const struct decode_context *context,
                                             enum field_state state, union parsed *id,
                                             struct faults *faults)
{
    struct value key = {.kind = VALUE_STRING,
                        .text = context->idempotency_key,
                        .size = context->idempotency_key_size};
    union parsed parsed;

    if (key.text == NULL || state == STATE_BAD)
        return state;
    if (key.size >= 2 && key.text[0] == '"' && key.text[key.size - 1] == '"') {
        key.text++;
        key.size -= 2;
    }
    if (!parse_event_id(&key, &parsed, faults))
        return STATE_BAD;
    if (state == STATE_ABSENT)
        *id = parsed;
    else if (!same_event_id(id, &parsed))
        return disagree(faults, FIELD_EVENT_ID, "differs from the Idempotency-Key");
    return STATE_GOOD;
}

static void bad_id(struct faults *faults, const char *why)
{
    fault_add(faults, FAULT_INVALID_EVENT_ID, field_name(FIELD_EVENT_ID), "%s", why);
}

/* An id says where the event is filed, so its time must be near; and it must be the same time on
 * a retry, which is why another version of UUID needs the timestamp. */
static void file_id(const union parsed *id, enum field_state timestamp, struct event *event,
                    struct faults *faults)
{
    int version = event_id_version(id->id.bytes);

    if (version == 7 || version == 8) {
        if (!is_near(event_id_at_ms(id->id.bytes), event->received_at_ms))
            bad_id(faults, "carries a time over 24 hours behind or 5 minutes ahead");
        memcpy(event->id, id->id.bytes, EVENT_ID_SIZE);
        return;
    }
    if (timestamp == STATE_BAD)
        return; /* told already */
    if (timestamp == STATE_ABSENT) {
        bad_id(faults, "needs a timestamp beside it: only versions 7 and 8 carry a time");
        return;
    }
    if ((event->flags & EVENT_CLOCK_SKEW) != 0) {
        bad_id(faults, "has a timestamp over 24 hours behind or 5 minutes ahead");
        return;
    }
    event_id_from_foreign(id->id.bytes, event->event_at_ms, event->id);
}

static void take_event_id(const struct fields *fields, const struct decode_context *context,
                          enum field_state timestamp, struct decoded *decoded,
                          struct faults *faults)
{
    union parsed id;
    enum field_state state = read_field(fields, FIELD_EVENT_ID, &id, faults);

    state = take_idempotency_key(context, state, &id, faults);
    switch (state) {
    case STATE_GOOD:
        memcpy(decoded->client_id, id.id.text, sizeof(decoded->client_id));
        file_id(&id, timestamp, &decoded->event, faults);
        return;
    case STATE_ABSENT:
        event_id_make(decoded->event.received_at_ms, decoded->event.id);
        event_id_format(decoded->event.id, decoded->client_id);
        return;
    case STATE_BAD:
        return;
    }
}

bool check_fields(const struct fields *fields, const struct decode_context *context,
                  struct decoded *out, struct faults *faults)
{
    struct decoded decoded = {.event = {.received_at_ms = context->received_at_ms}};
    enum field_state timestamp = STATE_ABSENT;

    faults->count = 0;
    take_ad_id(fields, &decoded.event, faults);
    take_type(fields, context, &decoded.event, faults);
    timestamp = take_timestamp(fields, &decoded.event, faults);
    take_ip(fields, context, &decoded.event, faults);
    take_playback_time(fields, &decoded.event, faults);
    take_event_id(fields, context, timestamp, &decoded, faults);
    if (faults->count > 0)
        return false;
    *out = decoded;
    return true;
}
