#include "zone.h"

#include "base/auto.h"
#include "zone_rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_SIZE = 44,
    TRANSITIONS_MAX = 4096,
    TYPES_MAX = 256,
    TYPE_SIZE = 6,
    DAY_S = 86400,
    QUARTER_S = 900,
    /* A day is looked for from 3 hours before its nominal start: no clock change is larger. */
    DAY_MARGIN_S = 3 * 3600,
};

struct zone {
    size_t transition_count;
    int64_t *at_s;      /* ascending */
    int32_t *offsets_s; /* in force from at_s[i] on */
    int32_t first_s;    /* before the first transition */
    struct zone_rule rule;
    bool has_rule;
};

/* A header's counts (RFC 8536, section 3.1). */
struct counts {
    size_t isut, isstd, leap, time, type, chars;
};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int64_t read_i64(const uint8_t *bytes)
{
    return (int64_t)((uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4));
}

bool zone_name_is_valid(const char *name, size_t size_bytes)
{
    if (size_bytes == 0 || size_bytes > ZONE_NAME_MAX)
        return false;
    if (name[0] == '/' || name[size_bytes - 1] == '/')
        return false;
    for (size_t i = 0; i < size_bytes; i++) {
        char c = name[i];
        bool is_word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '+' || c == '-';

        if (!is_word && (c != '/' || name[i - 1] == '/'))
            return false;
    }
    return true;
}

static bool read_counts(const uint8_t *bytes, size_t size_bytes, struct counts *out)
{
    if (size_bytes < HEADER_SIZE || memcmp(bytes, "TZif", 4) != 0 || bytes[4] < '2')
        return false;
    *out = (struct counts){
        .isut = read_u32(bytes + 20),
        .isstd = read_u32(bytes + 24),
        .leap = read_u32(bytes + 28),
        .time = read_u32(bytes + 32),
        .type = read_u32(bytes + 36),
        .chars = read_u32(bytes + 40),
    };
    return out->time <= TRANSITIONS_MAX && out->type >= 1 && out->type <= TYPES_MAX &&
           out->isut <= TYPES_MAX && out->isstd <= TYPES_MAX &&
           out->leap == 0 /* Unix time has none */ && out->chars <= TRANSITIONS_MAX;
}

static size_t body_size(const struct counts *counts, size_t time_size)
{
    return counts->time * (time_size + 1) + counts->type * TYPE_SIZE + counts->chars +
           counts->leap * (time_size + 4) + counts->isstd + counts->isut;
}

/* The table of the 64-bit block; bytes has at least body_size. */
static bool read_table(struct zone *zone, const uint8_t *bytes, const struct counts *counts)
{
    const uint8_t *indexes = bytes + counts->time * 8;
    const uint8_t *types = indexes + counts->time;

    zone->at_s = calloc(counts->time + 1, sizeof(*zone->at_s));
    zone->offsets_s = calloc(counts->time + 1, sizeof(*zone->offsets_s));
    if (zone->at_s == NULL || zone->offsets_s == NULL)
        return false;
    zone->transition_count = counts->time;
    zone->first_s = (int32_t)read_u32(types);
    for (size_t i = 0; i < counts->time; i++) {
        if (indexes[i] >= counts->type)
            return false;
        zone->at_s[i] = read_i64(bytes + i * 8);
        zone->offsets_s[i] = (int32_t)read_u32(types + (size_t)indexes[i] * TYPE_SIZE);
        if (i > 0 && zone->at_s[i] <= zone->at_s[i - 1])
            return false;
    }
    return true;
}

/* A newline, the rule, a newline; an empty rule means that the table's last line holds. */
static bool read_footer(struct zone *zone, const uint8_t *bytes, size_t size_bytes)
{
    const char *text = (const char *)bytes;
    const char *end = size_bytes < 2 ? NULL : memchr(text + 1, '\n', size_bytes - 1);

    if (end == NULL || text[0] != '\n')
        return false;
    zone->has_rule = end > text + 1;
    return !zone->has_rule || zone_rule_parse(text + 1, (size_t)(end - text - 1), &zone->rule);
}

/* The first block repeats the table in 32 bits for old readers: it is skipped. */
static bool parse(struct zone *zone, const uint8_t *bytes, size_t size_bytes)
{
    struct counts counts;
    size_t start = HEADER_SIZE;
    size_t footer = 0;

    if (!read_counts(bytes, size_bytes, &counts))
        return false;
    start += body_size(&counts, 4);
    if (start > size_bytes || !read_counts(bytes + start, size_bytes - start, &counts))
        return false;
    start += HEADER_SIZE;
    footer = start + body_size(&counts, 8);
    return footer <= size_bytes && read_table(zone, bytes + start, &counts) &&
           read_footer(zone, bytes + footer, size_bytes - footer);
}

struct zone *zone_parse(const uint8_t *bytes, size_t size_bytes, struct error *err)
{
    AUTO(zone_free) struct zone *zone = calloc(1, sizeof(*zone));

    if (zone == NULL) {
        error_set(err, ERROR_LIMIT, "zone: no memory");
        return NULL;
    }
    if (!parse(zone, bytes, size_bytes)) {
        error_set(err, ERROR_INVALID, "zone: not a TZif file of version 2 or later");
        return NULL;
    }
    return TAKE(zone);
}

static void close_file(FILE **file)
{
    if (*file != NULL)
        (void)fclose(*file); /* only read from: nothing can be lost */
    *file = NULL;
}

struct zone *zone_load(const char *directory, const char *name, struct error *err)
{
    AUTO(close_file) FILE *file = NULL;
    AUTO(auto_free) uint8_t *bytes = malloc(ZONE_FILE_MAX);
    char path[512];

    if (!zone_name_is_valid(name, strlen(name))) {
        error_set(err, ERROR_INVALID, "zone: not the name of a time zone");
        return NULL;
    }
    if (bytes == NULL) {
        error_set(err, ERROR_LIMIT, "zone: no memory");
        return NULL;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "rbe");
    if (file == NULL) {
        error_set(err, ERROR_INVALID, "zone: there is no time zone %s", name);
        return NULL;
    }
    /* A directory opens and reads as nothing, which is no TZif. */
    return zone_parse(bytes, fread(bytes, 1, ZONE_FILE_MAX, file), err);
}

void zone_free(struct zone **zone)
{
    if (*zone == NULL)
        return;
    free((*zone)->at_s);
    free((*zone)->offsets_s);
    free(*zone);
    *zone = NULL;
}

int32_t zone_offset_s(const struct zone *zone, int64_t at_s)
{
    size_t low = 0;
    size_t high = zone->transition_count;

    while (low < high) { /* low ends as the number of transitions at or before at_s */
        size_t middle = low + (high - low) / 2;

        if (zone->at_s[middle] <= at_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->transition_count && zone->has_rule)
        return zone_rule_offset_s(&zone->rule, at_s);
    return low == 0 ? zone->first_s : zone->offsets_s[low - 1];
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

void zone_find_day(const struct zone *zone, int64_t at_s, struct zone_day *out)
{
    int32_t offset_s = zone_offset_s(zone, at_s);
    int64_t today = floor_div(at_s + offset_s, DAY_S);
    int64_t first = floor_div(today * DAY_S - offset_s - DAY_MARGIN_S, QUARTER_S);
    int64_t last = floor_div((today + 1) * DAY_S - offset_s + DAY_MARGIN_S, QUARTER_S);

    out->first_quarter = first;
    out->count = 0;
    for (int64_t quarter = first; quarter <= last && out->count < ZONE_DAY_QUARTERS_MAX;
         quarter++) {
        int64_t local_s = quarter * QUARTER_S + zone_offset_s(zone, quarter * QUARTER_S);

        if (floor_div(local_s, DAY_S) != today)
            continue;
        if (out->count == 0)
            out->first_quarter = quarter;
        if (quarter - out->first_quarter >= ZONE_DAY_QUARTERS_MAX)
            break; /* a file may say that a day goes on long after it seemed to end */
        while (out->count < quarter - out->first_quarter) /* yesterday's, repeated inside today */
            out->hours[out->count++] = ZONE_HOUR_NONE;
        out->hours[out->count++] = (uint8_t)((local_s - today * DAY_S) / 3600);
    }
}
