#include "event/buckets.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    MINUTE_S = 60,
    QUARTER_S = 15 * 60,
    HOUR_S = 3600,
    DAY_S = 86400,
    SECONDS_WINDOW_MAX_S = 15 * 60, /* windows up to here are read from seconds */
    MINUTES_WINDOW_MAX_S = 60 * 60, /* and up to here from minutes */
};

static const char type_letters[EVENT_TYPE_COUNT + 1] = "?cisfmtek";

/* ---- series ---- */

size_t series_format(enum event_type type, enum event_reason reason, char out[SERIES_MAX])
{
    int size = 0;

    assert(type > EVENT_UNSPECIFIED && type < EVENT_TYPE_COUNT && reason < EVENT_REASON_COUNT);
    if (reason == EVENT_VALID)
        size = snprintf(out, SERIES_MAX, "%c", type_letters[type]);
    else
        size = snprintf(out, SERIES_MAX, "%c.%s", type_letters[type], event_reason_names[reason]);
    return (size_t)size;
}

static bool parse_reason(const char *text, size_t size_bytes, enum event_reason *out)
{
    for (int reason = EVENT_VALID + 1; reason < EVENT_REASON_COUNT; reason++) {
        const char *name = event_reason_names[reason];

        if (strlen(name) == size_bytes && memcmp(name, text, size_bytes) == 0) {
            *out = (enum event_reason)reason;
            return true;
        }
    }
    return false;
}

bool series_parse(const char *text, size_t size_bytes, enum event_type *out_type,
                  enum event_reason *out_reason)
{
    const char *letter = NULL;
    enum event_reason reason = EVENT_VALID;

    if (size_bytes == 0 || text[0] == '\0')
        return false;
    letter = strchr(type_letters + 1, text[0]);
    if (letter == NULL)
        return false;
    if (size_bytes > 1 && (text[1] != '.' || !parse_reason(text + 2, size_bytes - 2, &reason)))
        return false;
    *out_type = (enum event_type)(letter - type_letters);
    *out_reason = reason;
    return true;
}

/* ---- keys ---- */

static size_t key_size(int printed)
{
    assert(printed > 0 && printed < BUCKET_KEY_MAX);
    return (size_t)printed;
}

size_t bucket_key_position(char out[BUCKET_KEY_MAX], uint32_t partition)
{
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:position", partition));
}

size_t bucket_key_fresh(char out[BUCKET_KEY_MAX], uint32_t partition)
{
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:fresh", partition));
}

size_t bucket_key_state(char out[BUCKET_KEY_MAX], uint32_t partition)
{
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:state", partition));
}

size_t bucket_key_absent(char out[BUCKET_KEY_MAX], uint32_t partition)
{
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:absent", partition));
}

size_t bucket_key_totals(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id)
{
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:t:%s", partition, ad_id));
}

size_t bucket_key(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id,
                  const char *series, enum bucket_size size, int64_t block)
{
    static const char letters[] = {
        [BUCKET_SECOND] = 's', [BUCKET_MINUTE] = 'm', [BUCKET_QUARTER] = 'q'};

    if (size == BUCKET_DAY)
        return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:d:%s:%s", partition, ad_id, series));
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:%c:%s:%s:%lld", partition, letters[size],
                             ad_id, series, (long long)block));
}

size_t bucket_key_last(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id, int64_t day)
{
    return key_size(
        snprintf(out, BUCKET_KEY_MAX, "{%u}:l:%s:%lld", partition, ad_id, (long long)day));
}

size_t bucket_key_visitors(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id,
                           enum bucket_visitors_unit unit, int64_t number)
{
    static const char letters[] = {
        [BUCKET_VISITORS_MINUTE] = 'm', [BUCKET_VISITORS_HOUR] = 'h', [BUCKET_VISITORS_DAY] = 'd'};

    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:u%c:%s:%lld", partition, letters[unit],
                             ad_id, (long long)number));
}

size_t bucket_key_visitor_sum(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id)
{
    return key_size(snprintf(out, BUCKET_KEY_MAX, "{%u}:u:%s", partition, ad_id));
}

/* ---- time ---- */

/* Division that rounds down, before 1970 too. */
static int64_t floor_div(int64_t value, int64_t by)
{
    int64_t quotient = value / by;

    return value % by < 0 ? quotient - 1 : quotient;
}

static int64_t ceil_div(int64_t value, int64_t by)
{
    return -floor_div(-value, by);
}

/* One row a bucket size: how long a bucket is, and how many make up one hash. */
static const struct {
    int64_t bucket_s;
    int64_t fields;
    int64_t kept_s;
} sizes[] = {
    [BUCKET_SECOND] = {1, 60, BUCKET_SECONDS_KEPT_S},
    [BUCKET_MINUTE] = {MINUTE_S, 60, BUCKET_MINUTES_KEPT_S},
    [BUCKET_QUARTER] = {QUARTER_S, 96, BUCKET_QUARTERS_KEPT_S},
    [BUCKET_DAY] = {DAY_S, 0, BUCKET_DAYS_KEPT_S},
};

void bucket_place(enum bucket_size size, int64_t at_s, int64_t *out_block, int64_t *out_field)
{
    int64_t bucket = floor_div(at_s, sizes[size].bucket_s);

    if (size == BUCKET_DAY) {
        *out_block = 0;
        *out_field = bucket;
        return;
    }
    *out_block = floor_div(bucket, sizes[size].fields);
    *out_field = bucket - *out_block * sizes[size].fields;
}

int64_t bucket_kept_s(enum bucket_size size)
{
    return sizes[size].kept_s;
}

static const struct {
    int64_t unit_s;
    int64_t kept_s;
} units[] = {
    [BUCKET_VISITORS_MINUTE] = {MINUTE_S, BUCKET_MINUTE_VISITORS_KEPT_S},
    [BUCKET_VISITORS_HOUR] = {HOUR_S, BUCKET_HOUR_VISITORS_KEPT_S},
    [BUCKET_VISITORS_DAY] = {DAY_S, BUCKET_DAY_VISITORS_KEPT_S},
};

int64_t bucket_visitors_unit_s(enum bucket_visitors_unit unit)
{
    return units[unit].unit_s;
}

int64_t bucket_visitors_kept_s(enum bucket_visitors_unit unit)
{
    return units[unit].kept_s;
}

/* ---- windows ---- */

/* The spans of buckets first..last (numbers since 1970), a span for every hash they are in. */
static size_t cover(enum bucket_size size, int64_t first, int64_t last,
                    struct bucket_span out[BUCKET_SPANS_MAX])
{
    int64_t fields = sizes[size].fields;
    size_t count = 0;

    for (int64_t at = first; at <= last; count++) {
        int64_t block = floor_div(at, fields);
        int64_t block_end = (block + 1) * fields - 1;
        int64_t end = block_end < last ? block_end : last;

        assert(count < BUCKET_SPANS_MAX);
        out[count].size = size;
        out[count].block = block;
        out[count].first = (int)(at - block * fields);
        out[count].last = (int)(end - block * fields);
        at = end + 1;
    }
    return count;
}

/* Quarter hours first..last: the days at the edges by quarters, the whole days between as days. */
static size_t cover_days(int64_t first, int64_t last, struct bucket_span out[BUCKET_SPANS_MAX])
{
    int64_t per_day = sizes[BUCKET_QUARTER].fields;
    int64_t first_whole_day = ceil_div(first, per_day);
    int64_t last_day = floor_div(last, per_day);
    size_t count = 0;

    if (first_whole_day >= last_day)
        return cover(BUCKET_QUARTER, first, last, out);
    count = cover(BUCKET_QUARTER, first, first_whole_day * per_day - 1, out);
    out[count].size = BUCKET_DAY;
    out[count].block = first_whole_day;
    out[count].first = 0;
    out[count].last = (int)(last_day - 1 - first_whole_day);
    count++;
    return count + cover(BUCKET_QUARTER, last_day * per_day, last, out + count);
}

size_t bucket_window(int64_t end_s, int64_t window_s, struct bucket_span out[BUCKET_SPANS_MAX])
{
    int64_t start_s = end_s - window_s + 1;

    if (window_s <= 0)
        return 0;
    if (window_s <= SECONDS_WINDOW_MAX_S)
        return cover(BUCKET_SECOND, start_s, end_s, out);
    if (window_s <= MINUTES_WINDOW_MAX_S)
        return cover(BUCKET_MINUTE, ceil_div(start_s, MINUTE_S), floor_div(end_s, MINUTE_S), out);
    return cover_days(ceil_div(start_s, QUARTER_S), floor_div(end_s, QUARTER_S), out);
}

bool bucket_visitors_window(int64_t end_s, int64_t window_s, struct bucket_visitors_span *out)
{
    int64_t unit_s = 0;

    if (window_s <= 0)
        return false;
    out->unit = window_s <= HOUR_S  ? BUCKET_VISITORS_MINUTE
                : window_s <= DAY_S ? BUCKET_VISITORS_HOUR
                                    : BUCKET_VISITORS_DAY;
    unit_s = units[out->unit].unit_s;
    out->first = floor_div(end_s - window_s + 1, unit_s);
    out->last = floor_div(end_s, unit_s);
    return true;
}
