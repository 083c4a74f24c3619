/*
 * query_spec.h — what an analytics request asks for
 *
 * Shape:  pure: query string in, checked values out. The v1 and the earlier routes share it.
 * Errors: faults of status 400: invalid_parameter, conflicting_parameters.
 */
#pragma once

#include "event/decode.h"
#include "zone.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SPEC_FRAME_SIZE = 8, /* "10080m" and its NUL */
    SPEC_LIMIT_DEFAULT = 100,
    SPEC_LIMIT_MAX = 1000,
    SPEC_MINUTES_MAX = 10080,
    SPEC_USUAL_COUNT = 8,
    SPEC_CURSOR_MAX = EVENT_AD_ID_MAX + 24,
};

/* Where a page of a board begins: after the row with so many clicks and this id. */
struct board_cursor {
    bool is_set;
    int64_t clicks;
    char id[EVENT_AD_ID_MAX + 1];
};

struct query_spec {
    char ad_id[EVENT_AD_ID_MAX + 1]; /* "": all ads */
    bool is_camel_id;                /* it was called adId */
    char frame[SPEC_FRAME_SIZE];     /* "24h", "all", or "10m" of minutes=10 */
    int64_t window_s;                /* 0: all time */
    char zone[ZONE_NAME_MAX + 1];    /* "UTC" by default; that it exists is not checked here */
    int64_t limit;
    bool has_limit;
    struct board_cursor cursor;
    bool is_map; /* format=map */
};

bool query_spec_parse(const char *text, size_t size_bytes, struct query_spec *out,
                      struct faults *faults);

/* Of all ads, what dashboards and the earlier clients ask for: the named timeframes, and the
 * minutes=10 of the trackers, in UTC. SPEC_USUAL_COUNT different ones. */
bool query_spec_is_usual(const struct query_spec *spec);

/* An opaque word of URL-safe characters. */
void board_cursor_format(int64_t clicks, const char *id, char out[SPEC_CURSOR_MAX]);
bool board_cursor_parse(const char *text, struct board_cursor *out);
