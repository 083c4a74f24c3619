#include "record.h"

#include "base/time_text.h"
#include "event/codec.h"
#include "event/visitor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 40, SHOWN_MAX = 40 };

/* Seconds reach this in the year 5138, milliseconds in March 1973. */
#define SECONDS_MAX 1e11

static bool refuse(struct error *err, enum click_field field, const struct record_value *value,
                   const char *why)
{
    int shown = value->size > SHOWN_MAX ? SHOWN_MAX : (int)value->size;

    return error_set(err, ERROR_INVALID, "%s \"%.*s\": %s", click_fields.fields[field].name, shown,
                     value->text, why);
}

/* A plain decimal number; strtod alone would take "inf", "0x1p3" and blanks. */
static bool parse_number(const struct record_value *value, double *out)
{
    char copy[NUMBER_MAX];
    char *end = NULL;

    if (value->size == 0 || value->size >= sizeof(copy))
        return false;
    memcpy(copy, value->text, value->size);
    copy[value->size] = '\0';
    if (strspn(copy, "0123456789+-.eE") != value->size)
        return false;
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

static bool take_ad_id(const struct record_value *value, struct click *out, struct error *err)
{
    if (value->text == NULL || value->size == 0)
        return error_set(err, ERROR_INVALID, "there is no ad_id");
    if (!event_ad_id_is_valid(value->text, value->size))
        return refuse(err, CLICK_AD_ID, value, "an ad id is 1 to 64 characters of A-Z a-z 0-9 _ -");
    memcpy(out->event.ad_id, value->text, value->size);
    out->event.ad_id[value->size] = '\0';
    out->event.ad_id_size = (uint8_t)value->size;
    return true;
}

static bool parse_time(const struct record_value *value, int64_t *out_at_ms)
{
    double number = 0;

    if (!parse_number(value, &number))
        return time_text_parse(value->text, value->size, out_at_ms);
    if (fabs(number) < SECONDS_MAX)
        number *= 1000;
    if (fabs(number) > (double)EVENT_AT_MS_MAX)
        return false;
    *out_at_ms = (int64_t)floor(number);
    return true;
}

static bool take_time(const struct record_value *value, struct click *out, struct error *err)
{
    int64_t at_ms = 0;

    if (value->text == NULL || value->size == 0)
        return error_set(err, ERROR_INVALID, "there is no time");
    if (!parse_time(value, &at_ms))
        return refuse(err, CLICK_TIME, value, "neither RFC 3339 nor Unix seconds or milliseconds");
    if (at_ms <= 0 || at_ms > EVENT_AT_MS_MAX)
        return refuse(err, CLICK_TIME, value, "not within the years 1970 to 9999");
    out->event.event_at_ms = at_ms;
    out->event.received_at_ms = at_ms;
    return true;
}

/* "1.2.3.4:5678", "[::1]:5678" and "client, proxy" are what trackers kept of a connection. */
static struct record_value strip_address(const struct record_value *value)
{
    struct record_value bare = *value;
    const char *comma = memchr(bare.text, ',', bare.size);
    const char *end = NULL;

    if (comma != NULL)
        bare.size = (size_t)(comma - bare.text);
    if (bare.size > 0 && bare.text[0] == '[') {
        end = memchr(bare.text, ']', bare.size);
        if (end != NULL)
            bare = (struct record_value){bare.text + 1, (size_t)(end - bare.text - 1)};
        return bare;
    }
    end = memchr(bare.text, ':', bare.size);
    if (end != NULL && memchr(bare.text, '.', (size_t)(end - bare.text)) != NULL)
        bare.size = (size_t)(end - bare.text);
    return bare;
}

static bool take_address(const struct record_value *value, struct click *out, struct error *err)
{
    struct record_value bare;

    if (value->text == NULL || value->size == 0)
        return true;
    bare = strip_address(value);
    if (!ip_parse(bare.text, bare.size, &out->event.ip))
        return refuse(err, CLICK_IP, value, "neither an IPv4 nor an IPv6 address");
    return true;
}

static bool take_playback(const struct record_value *value, struct click *out, struct error *err)
{
    double seconds = 0;

    out->event.playback_ms = EVENT_PLAYBACK_ABSENT;
    if (value->text == NULL || value->size == 0)
        return true;
    if (!parse_number(value, &seconds) || seconds < 0 || seconds * 1000 > CODEC_PLAYBACK_MAX_MS)
        return refuse(err, CLICK_PLAYBACK, value, "not a number of seconds from 0 to 86400");
    out->event.playback_ms = llround(seconds * 1000);
    return true;
}

bool click_from_record(const struct record *record, struct click *out, struct error *err)
{
    struct click click = {.event = {.type = EVENT_CLICK},
                          .source_id = record->values[CLICK_ID],
                          .user_agent = record->values[CLICK_USER_AGENT]};

    if (!take_ad_id(&record->values[CLICK_AD_ID], &click, err) ||
        !take_time(&record->values[CLICK_TIME], &click, err) ||
        !take_address(&record->values[CLICK_IP], &click, err) ||
        !take_playback(&record->values[CLICK_PLAYBACK], &click, err))
        return false;
    *out = click;
    return true;
}
