/*
 * audit.h — the conservation ledger: what was accepted against what is stored, minute by minute
 *
 * Why:     the product does not say that no event is lost, it shows it.
 * Shape:   pure. audit_sql.c reads the lanes and files what it finds here:
 *
 *            a minute's stored batches --audit_add_stored-----> minutes
 *            a lane's missing numbers  --audit_judge_gap------> minutes and findings
 *            a lane's sum of events    --audit_add_difference-> minutes and findings
 *
 *          A number that has no row in `batches` is, in this order:
 *            in a spooled range        PENDING     answered 202, on its way from a store
 *            in an abandoned range     UNPROMISED  answered 503
 *            below settled_below       LOST
 *            the lane was heard of     PENDING     in flight
 *            else                      UNPROVEN    its gateway died before it could tell
 * Units:   Unix milliseconds; a number is filed to the minute of the stored batch that follows it.
 * Errors:  none; without memory or over AUDIT_FINDINGS_MAX is_complete turns false.
 * Memory:  minutes and findings are owned until audit_free.
 */
#pragma once

#include "event/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUDIT_MINUTE_MS = 60000,
    AUDIT_SPAN_MAX_MS = 24 * 60 * AUDIT_MINUTE_MS,
    AUDIT_FINDINGS_MAX = 1000,
};

enum audit_class {
    AUDIT_LOST,
    AUDIT_PENDING,
    AUDIT_UNPROMISED,
    AUDIT_UNPROVEN,
    AUDIT_UNEQUAL, /* the lane's sum of events is not what its gateway told; no numbers */
    AUDIT_CLASS_COUNT,
};
/* "lost", "pending", ...; NULL-terminated. */
extern const char *const audit_class_names[AUDIT_CLASS_COUNT + 1];

struct audit_minute {
    int64_t accepted;   /* events answered 202 */
    int64_t unpromised; /* events of batches that were answered 503 and are stored all the same */
    int64_t stored, duplicates, dead, pending, lost;
    int64_t batches; /* stored */
    int64_t missing[AUDIT_CLASS_COUNT];
};

struct audit_lane {
    char gateway_id[EVENT_ID_TEXT_SIZE];
    uint32_t thread, partition;
    uint64_t settled_below; /* the highest that was told */
    bool is_heard;          /* told something a moment ago */
};

enum audit_fate { AUDIT_SPOOLED = 1, AUDIT_ABANDONED = 2 };

/* What a lane told of some of its numbers. */
struct audit_range {
    enum audit_fate fate;
    uint64_t first, last;
    int64_t events_missing; /* of a spooled one: its events without those of its stored batches */
    bool is_filed;          /* they are in a minute */
};

/* Numbers without a row between two that have one. */
struct audit_gap {
    uint64_t first, last;
    int64_t at_ms; /* sent_at of the batch behind it */
};

struct audit_finding {
    enum audit_class class;
    struct audit_lane lane;
    uint64_t first, last; /* 0: no numbers */
    int64_t at_ms;
    int64_t events; /* -1: not known */
};

struct audit {
    int64_t from_ms, to_ms; /* from a whole minute on */
    struct audit_minute *minutes;
    size_t minute_count;
    struct audit_minute total;
    struct audit_finding *findings;
    size_t finding_count;
    size_t lanes;
    int64_t stored_until_ms; /* all that was published by then has been looked at; 0: not known */
    bool is_complete;        /* false: there was more than the limits let see */
};

/* False: no memory. */
bool audit_init(struct audit *audit, int64_t from_ms, int64_t to_ms);
void audit_free(struct audit *audit);

/* The sums of one minute's stored batches; of events, unpromised were answered 503. */
void audit_add_stored(struct audit *audit, int64_t at_ms, const struct audit_minute *sums);
/* Splits the gap by what is known of its numbers and files each part. ranges are the lane's. */
void audit_judge_gap(struct audit *audit, const struct audit_lane *lane, struct audit_range *ranges,
                     size_t range_count, const struct audit_gap *gap);
/* The lane's gateway told of so many more events than were found: 0 when all is well. Files them to
 * the first lost numbers of the lane, if there are any. */
void audit_add_difference(struct audit *audit, const struct audit_lane *lane, int64_t at_ms,
                          int64_t events);
/* Once everything is in. */
void audit_close(struct audit *audit);

/* accepted + unpromised = stored + duplicates + dead + pending, and nothing is lost. */
bool audit_minute_is_balanced(const struct audit_minute *minute);
bool audit_is_balanced(const struct audit *audit);
