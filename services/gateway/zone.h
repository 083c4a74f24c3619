/*
 * zone.h — a time zone's offsets, and which quarter hours make up its today
 *
 * Why:     hourly_clicks are hours of the caller's day. The C library knows zones only through the
 *          process-wide TZ variable, which no thread may change; so the system's compiled files
 *          (TZif, RFC 8536) are read here, the rule for the years after their table included.
 * Units:   at_s is Unix seconds, an offset is seconds east of UTC, a quarter is Unix time / 900.
 * Errors:  ERROR_INVALID for a name that is none or a file that is no TZif.
 * Memory:  zone_load and zone_parse return an object of the caller's.
 * Threads: a struct zone never changes.
 * Limits:  a file has at most ZONE_FILE_MAX bytes.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo"

enum {
    ZONE_NAME_MAX = 64,
    ZONE_FILE_MAX = 64 * 1024,
    ZONE_DAY_QUARTERS_MAX = 112, /* a day of 28 hours: longer than any on record */
    ZONE_HOUR_NONE = 255,
};

struct zone;

/* The quarter hours of one local day, in order, and the local hour of each; a quarter in between
 * that belongs to another day (clocks set back over midnight) has ZONE_HOUR_NONE. */
struct zone_day {
    int64_t first_quarter;
    int count;
    uint8_t hours[ZONE_DAY_QUARTERS_MAX];
};

/* Letters, digits, _ + - and single slashes inside: never a path that leaves the directory. */
bool zone_name_is_valid(const char *name, size_t size_bytes);

struct zone *zone_parse(const uint8_t *bytes, size_t size_bytes, struct error *err);
struct zone *zone_load(const char *directory, const char *name, struct error *err);
void zone_free(struct zone **zone);

int32_t zone_offset_s(const struct zone *zone, int64_t at_s);

/* The local day that holds at_s; an hour that a clock change repeats has eight quarters. */
void zone_find_day(const struct zone *zone, int64_t at_s, struct zone_day *out);
