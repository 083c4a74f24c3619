/*
 * buckets.h — the names of Redis's counters and which of them make up a window
 *
 * Why:    analytics writes the buckets and the gateway reads them; both take the shapes from here
 *         (proto/redis.md is the same in words).
 * Units:  seconds, minutes, quarter hours and days are whole units since 1970, UTC.
 *
 * A window of W seconds that ends at second E (inclusive) covers the seconds E-W+1..E. Up to 15
 * minutes its oldest edge is exact to the second, up to 60 minutes to the minute, beyond to the
 * quarter hour: buckets that begin inside the window count whole; the bucket that holds the edge
 * counts only when it begins at it. The newest edge is exact as long as E is now: the bucket that
 * holds E is read whole, and what lies behind E in it has not happened yet.
 */
#pragma once

#include "event/event.h"

enum bucket_size { BUCKET_SECOND, BUCKET_MINUTE, BUCKET_QUARTER, BUCKET_DAY };

enum {
    BUCKET_SECONDS_KEPT_S = 20 * 60, /* expiry of a hash of seconds */
    BUCKET_MINUTES_KEPT_S = 3 * 3600,
    BUCKET_QUARTERS_KEPT_S = 9 * 86400,
    BUCKET_DAYS_KEPT_S = 9 * 86400, /* the hash of days lives so long after its last write */
    BUCKET_MINUTE_VISITORS_KEPT_S = 65 * 60,
    BUCKET_HOUR_VISITORS_KEPT_S = 26 * 3600,
    BUCKET_DAY_VISITORS_KEPT_S = 9 * 86400,
    BUCKET_KEY_MAX = 160,
    SERIES_MAX = 24, /* bytes of a series name and its NUL */
};

/* A series is an event type with a reason: "c", "c.crawler". */
size_t series_format(enum event_type type, enum event_reason reason, char out[SERIES_MAX]);
bool series_parse(const char *text, size_t size_bytes, enum event_type *out_type,
                  enum event_reason *out_reason);

/* What a HyperLogLog of visitors spans. */
enum bucket_visitors_unit { BUCKET_VISITORS_MINUTE, BUCKET_VISITORS_HOUR, BUCKET_VISITORS_DAY };

/* Keys; each returns its length. partition is the tag. */
size_t bucket_key_position(char out[BUCKET_KEY_MAX], uint32_t partition);
size_t bucket_key_fresh(char out[BUCKET_KEY_MAX], uint32_t partition);
size_t bucket_key_state(char out[BUCKET_KEY_MAX], uint32_t partition);
/* Nobody ever makes it: what it is for says proto/redis.md. */
size_t bucket_key_absent(char out[BUCKET_KEY_MAX], uint32_t partition);
size_t bucket_key_totals(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id);
/* block: Unix minute for SECOND, hour for MINUTE, day for QUARTER; ignored for DAY. */
size_t bucket_key(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id,
                  const char *series, enum bucket_size size, int64_t block);

/* "l": field = quarter hour of Unix day `day`, value = sequence of the last message there. */
size_t bucket_key_last(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id,
                       int64_t day);
/* "um" "uh" "ud": the visitors of one unit, by its number since 1970. */
size_t bucket_key_visitors(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id,
                           enum bucket_visitors_unit unit, int64_t number);
/* "u": `sum` and `day`. */
size_t bucket_key_visitor_sum(char out[BUCKET_KEY_MAX], uint32_t partition, const char *ad_id);

/* Where a second is counted: the hash's block and its field. For DAY the block is 0 and the field
 * the Unix day. */
void bucket_place(enum bucket_size size, int64_t at_s, int64_t *out_block, int64_t *out_field);
/* Seconds after the end of its block (for DAY: after its last write) that a hash is kept. */
int64_t bucket_kept_s(enum bucket_size size);
int64_t bucket_visitors_unit_s(enum bucket_visitors_unit unit); /* 60, 3600, 86400 */
int64_t bucket_visitors_kept_s(enum bucket_visitors_unit unit);

/* One hash to read for a window, and which of its fields belong to it. */
struct bucket_span {
    enum bucket_size size;
    int64_t block;
    int first, last; /* fields, inclusive; for DAY: days as block numbers relative to `block` */
};

enum { BUCKET_SPANS_MAX = 32 };

/* The spans whose sum is the window of window_s seconds that ends at end_s; returns how many. */
size_t bucket_window(int64_t end_s, int64_t window_s, struct bucket_span out[BUCKET_SPANS_MAX]);

/* The HyperLogLogs of a window: unit numbers first..last, inclusive. */
struct bucket_visitors_span {
    enum bucket_visitors_unit unit;
    int64_t first, last;
};

/*
 * Minutes up to an hour, hours up to a day, else days: every unit that the window touches, so that
 * no visitor is missed; the reader caps the estimate by the window's valid clicks. A day's salt
 * makes the same person a stranger on the next day, so units of several days may be united or
 * summed alike. False: the window is empty.
 */
bool bucket_visitors_window(int64_t end_s, int64_t window_s, struct bucket_visitors_span *out);
