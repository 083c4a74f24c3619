#include "query_spec.h"

#include "http/query_string.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_DEFAULT      "UTC"
#define FRAME_DEFAULT     "all"
#define FRAME_OF_TRACKERS "10m" /* they say minutes=10 */

static const char *const names[] = {"ad_id", "adId",   "timeframe", "minutes", "timezone",
                                    "limit", "cursor", "format",    NULL};

static const struct {
    const char *name;
    int64_t window_s;
} frames[] = {
    {"1m", 60},     {"5m", 300},    {"15m", 900},       {"1h", 3600},
    {"24h", 86400}, {"7d", 604800}, {FRAME_DEFAULT, 0},
};

enum { FRAME_COUNT = sizeof(frames) / sizeof(frames[0]) };

_Static_assert((int)SPEC_USUAL_COUNT == (int)FRAME_COUNT + 1,
               "SPEC_USUAL_COUNT must be the number of named timeframes, and one: the trackers'");

static void parse_ad(const struct query_string *query, struct query_spec *out,
                     struct faults *faults)
{
    const char *snake = query_string_find(query, "ad_id");
    const char *camel = query_string_find(query, "adId");
    const char *id = snake != NULL ? snake : camel;

    if (id == NULL)
        return;
    if (snake != NULL && camel != NULL && strcmp(snake, camel) != 0) {
        fault_add(faults, FAULT_CONFLICTING_PARAMETERS, "ad_id", "differs from adId");
        return;
    }
    if (!event_ad_id_is_valid(id, strlen(id))) {
        fault_add(faults, FAULT_INVALID_PARAMETER, "ad_id",
                  "must be 1 to %d letters, digits, _ and -", EVENT_AD_ID_MAX);
        return;
    }
    (void)snprintf(out->ad_id, sizeof(out->ad_id), "%s", id);
    out->is_camel_id = snake == NULL;
}

static void parse_frame(const struct query_string *query, struct query_spec *out,
                        struct faults *faults)
{
    const char *name = query_string_find(query, "timeframe");
    int64_t minutes = 0;

    if (name != NULL && query_string_find(query, "minutes") != NULL) {
        fault_add(faults, FAULT_CONFLICTING_PARAMETERS, "minutes", "cannot stand beside timeframe");
        return;
    }
    if (!query_string_int(query, "minutes", 1, SPEC_MINUTES_MAX, &minutes, faults))
        return;
    if (minutes > 0) {
        (void)snprintf(out->frame, sizeof(out->frame), "%" PRId64 "m", minutes);
        out->window_s = minutes * 60;
        return;
    }
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        if (strcmp(frames[i].name, name == NULL ? FRAME_DEFAULT : name) != 0)
            continue;
        (void)snprintf(out->frame, sizeof(out->frame), "%s", frames[i].name);
        out->window_s = frames[i].window_s;
        return;
    }
    fault_add(faults, FAULT_INVALID_PARAMETER, "timeframe",
              "must be one of 1m, 5m, 15m, 1h, 24h, 7d and all");
}

static void parse_zone(const struct query_string *query, struct query_spec *out,
                       struct faults *faults)
{
    const char *name = query_string_find(query, "timezone");

    if (name == NULL)
        name = ZONE_DEFAULT;
    if (zone_name_is_valid(name, strlen(name)))
        (void)snprintf(out->zone, sizeof(out->zone), "%s", name);
    else
        fault_add(faults, FAULT_INVALID_PARAMETER, "timezone", "must be the IANA name of a zone");
}

static void parse_page(const struct query_string *query, struct query_spec *out,
                       struct faults *faults)
{
    const char *cursor = query_string_find(query, "cursor");
    const char *format = query_string_find(query, "format");

    out->limit = SPEC_LIMIT_DEFAULT;
    out->has_limit = query_string_find(query, "limit") != NULL;
    (void)query_string_int(query, "limit", 1, SPEC_LIMIT_MAX, &out->limit, faults);
    if (cursor != NULL && !board_cursor_parse(cursor, &out->cursor))
        fault_add(faults, FAULT_INVALID_PARAMETER, "cursor", "is not one that we gave");
    out->is_map = format != NULL && strcmp(format, "map") == 0;
    if (format != NULL && !out->is_map && strcmp(format, "list") != 0)
        fault_add(faults, FAULT_INVALID_PARAMETER, "format", "must be list or map");
}

bool query_spec_parse(const char *text, size_t size_bytes, struct query_spec *out,
                      struct faults *faults)
{
    struct query_string query;
    struct query_spec spec = {0};

    if (!query_string_parse(&query, names, text, size_bytes, faults))
        return false;
    parse_ad(&query, &spec, faults);
    parse_frame(&query, &spec, faults);
    parse_zone(&query, &spec, faults);
    parse_page(&query, &spec, faults);
    if (faults->count > 0)
        return false;
    *out = spec;
    return true;
}

bool query_spec_is_usual(const struct query_spec *spec)
{
    if (strcmp(spec->zone, ZONE_DEFAULT) != 0)
        return false;
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        if (strcmp(spec->frame, frames[i].name) == 0)
            return true;
    }
    return strcmp(spec->frame, FRAME_OF_TRACKERS) == 0;
}

void board_cursor_format(int64_t clicks, const char *id, char out[SPEC_CURSOR_MAX])
{
    (void)snprintf(out, SPEC_CURSOR_MAX, "%" PRId64 ".%s", clicks, id);
}

bool board_cursor_parse(const char *text, struct board_cursor *out)
{
    const char *dot = strchr(text, '.');
    size_t digits = strspn(text, "0123456789");

    if (dot == NULL || digits == 0 || digits > 18 || text + digits != dot ||
        !event_ad_id_is_valid(dot + 1, strlen(dot + 1)))
        return false;
    out->is_set = true;
    out->clicks = strtoll(text, NULL, 10);
    (void)snprintf(out->id, sizeof(out->id), "%s", dot + 1);
    return true;
}
