/*
 * counters.h — which of Redis's counters make up an ad's numbers, and what their values add up to
 *
 * Why:     one place turns a question (this ad, this window, this day) into commands and their
 *          replies into numbers, whoever carries them: the loop's connection or a blocking one.
 * Shape:   pure. counters_make_plan -> counters_emit (the caller wraps the commands in MULTI and
 *          EXEC, so that they see one moment) -> counters_fold over EXEC's replies.
 *
 *            known series --plan--> commands --Redis--> replies --fold--> numbers
 *                 ^------------------ not complete: ask again ---------------/
 *
 *          Only the series that are known to exist are asked for. The hash of totals names all of
 *          them; when it names more, the reading is not complete and tells what to ask for next.
 *          A caller keeps struct counters_known per ad, so that this happens once.
 * Units:   end_s and window_s are seconds; window_s 0 is all time.
 * Errors:  ERROR_INTERNAL for replies that are not the plan's, ERROR_UNAVAILABLE for an error
 *          reply.
 * Memory:  a plan is of the caller's and holds everything; nothing is allocated.
 */
#pragma once

#include "base/error.h"
#include "event/buckets.h"
#include "zone.h"

#include <hiredis/hiredis.h>

enum { COUNTERS_WINDOWS = 6, COUNTERS_HOURS = 24, COUNTERS_GROUP_READS_MAX = 24 };

/* The six windows of time_frames: 60, 300, 900, 3600, 86400 and 604800 seconds. */
extern const int64_t counters_window_s[COUNTERS_WINDOWS];

/* What is known of an ad from earlier readings; zeroed: nothing. */
struct counters_known {
    uint64_t series;     /* one bit a series */
    int64_t visitor_day; /* the Unix day whose visitors are not yet in the sum; 0: today */
};

/* An ad's numbers. gross clicks of the timeframe = clicks + sum of invalid. */
struct ad_numbers {
    int64_t total_clicks;              /* gross, all time */
    int64_t windows[COUNTERS_WINDOWS]; /* gross */
    int64_t hours[COUNTERS_HOURS];     /* gross, of today in the zone asked for */
    int64_t clicks;                    /* from here on: valid ones, of the timeframe */
    int64_t invalid[EVENT_REASON_COUNT];
    int64_t uniques;                  /* -1: not known */
    int64_t events[EVENT_TYPE_COUNT]; /* every type but click */
};

struct counters_question {
    const char *ad_id; /* copied by the plan */
    uint32_t partition;
    int64_t end_s;
    int64_t window_s;
    struct zone_day today;
};

enum {
    COUNTERS_TARGET_FRAME = COUNTERS_WINDOWS,
    COUNTERS_TARGET_TODAY,
    COUNTERS_TARGETS,
};

/* One hash, and the fields of it that each target takes; first > last: none. */
struct counters_read {
    enum bucket_size size;
    int64_t block;
    int32_t first[COUNTERS_TARGETS], last[COUNTERS_TARGETS];
};

/* The hashes that every series of a group is asked for. */
struct counters_group {
    size_t count;
    struct counters_read reads[COUNTERS_GROUP_READS_MAX];
};

struct counters_plan {
    char ad_id[EVENT_AD_ID_MAX + 1];
    uint32_t partition;
    int64_t end_s, window_s;
    struct zone_day today;
    struct counters_known known;
    struct counters_group clicks, others;
};

void counters_make_plan(struct counters_plan *plan, const struct counters_question *question,
                        const struct counters_known *known);

/* One command; false stops the emitting. */
typedef bool (*counters_emit_fn)(void *ctx, int argc, const char **argv, const size_t *sizes);
bool counters_emit(const struct counters_plan *plan, counters_emit_fn emit, void *ctx);

struct counters_reading {
    struct ad_numbers numbers;
    struct counters_known known; /* for the next plan of this ad */
    bool is_complete;            /* false: ask again with known */
    bool is_rebuilding;
    bool is_usable;   /* false: Redis has lost its memory and has not got the totals back yet */
    int64_t fresh_ms; /* everything published until then is counted; 0: Redis does not say */
};

/* replies are those of the emitted commands, in order; borrowed. */
MUST_CHECK bool counters_fold(const struct counters_plan *plan, redisReply *const *replies,
                              size_t count, struct counters_reading *out, struct error *err);
