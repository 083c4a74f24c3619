/*
 * changes.h — a list of changes to Redis's counters, made by one atomic script call
 *
 * Why:     counters and position must move together or not at all, so everything that writes to
 *          Redis (counting, repairing, rebuilding) builds such a list and runs it behind a guard.
 * Shape:   append changes, run them, reset. Keys come from event/buckets.h; buckets that are past
 *          their time are left out here, so that a late event goes into what is still kept. A list
 *          may remember the keys that it has made: their expiry is not set again.
 * Units:   instants are Unix seconds; at_s, the present, is given to changes_reset.
 * Errors:  a list that is too long or without memory fails once, in changes_run (ERROR_LIMIT).
 * Memory:  owned by the list, kept between runs, bounded by CHANGES_BYTES_MAX; 16 to 24 bytes more
 *          for each key that is remembered.
 * Threads: one owner thread.
 */
#pragma once

#include "base/error.h"
#include "event/buckets.h"
#include "position.h"

enum {
    CHANGES_ARGS_MAX = 500 * 1000,
    CHANGES_ENTRY_ARGS_MAX = 30, /* what one count or one visitor of a fold takes at most */
    CHANGES_BYTES_MAX = 64 << 20,
    CHANGES_VISITORS_MAX = 1000, /* of one change: Lua's stack holds some 8,000 */
};

struct changes;
struct redis;

/* keys_max: how many keys are remembered; 0: none. NULL: no memory. */
struct changes *changes_new(uint32_t partition, size_t keys_max);
void changes_free(struct changes **changes);
void changes_reset(struct changes *changes, int64_t at_s);
/* The keys may be others than those of the last run: nothing is remembered. */
void changes_forget(struct changes *changes);
size_t changes_args(const struct changes *changes); /* how long the list is */
bool changes_is_kept(const struct changes *changes, enum bucket_size size, int64_t second);

/* Adds to the bucket that holds the second. */
void changes_add_bucket(struct changes *changes, const char *ad_id, const char *series,
                        enum bucket_size size, int64_t second, int64_t amount);
void changes_add_total(struct changes *changes, const char *ad_id, const char *series,
                       int64_t amount);
/* The last message counted in the quarter hour (number since 1970). */
void changes_set_last(struct changes *changes, const char *ad_id, int64_t quarter, uint64_t seq);
/* At most CHANGES_VISITORS_MAX visitors of one minute, hour or day (number since 1970). A day also
 * keeps the sum of closed days right: the first visitor of a new day closes the one before. */
void changes_add_visitors(struct changes *changes, const char *ad_id,
                          enum bucket_visitors_unit unit, int64_t number, const uint64_t *visitors,
                          size_t count);
/* Visitors of closed days that have no HyperLogLog any more. */
void changes_add_visitor_sum(struct changes *changes, const char *ad_id, int64_t visitors);
void changes_delete_key(struct changes *changes, const char *key, size_t key_size);

/*
 * Repairs: changes_begin_item sets the condition under which the changes_set_* after it are made,
 * judged inside the script. Both stores have then counted the same messages of this quarter hour:
 * Redis's position is at least needed_seq, the last message that Redis counted in the quarter hour
 * is at most pg_position, and the ad has no series in Redis that the list does not name.
 */
void changes_begin_item(struct changes *changes, const char *ad_id, int64_t quarter,
                        uint64_t pg_position, uint64_t needed_seq, size_t series_known);
/* Quarter hour, day and total move by the same difference. */
void changes_set_quarter(struct changes *changes, const char *ad_id, const char *series,
                         int64_t quarter, int64_t target);
/* For quarter hours that are no longer kept: sets the total, only while both positions are equal.
 */
void changes_begin_total_item(struct changes *changes, uint64_t pg_position);
void changes_set_total(struct changes *changes, const char *ad_id, const char *series,
                       int64_t target);

enum changes_guard_kind {
    CHANGES_AT_POSITION, /* the position is `expected`, and no rebuild has begun since `token` */
    CHANGES_COUNTING,    /* there is a position: no rebuild of totals is going on */
    CHANGES_REBUILDING,  /* the rebuild with `token` is still the one that goes on */
};

struct changes_guard {
    enum changes_guard_kind kind;
    const char *expected;                 /* a position; NULL: it does not matter */
    const char *token;                    /* of the last rebuild; NULL: there was none */
    const struct position *next_position; /* NULL: stays as it is */
    int64_t fresh_at_ms;                  /* 0: stays as it is */
    const char *phase;                    /* of a rebuild; NULL: stays, "done": it is over */
    int64_t rebuilt_at_ms;                /* for phase "done" */
};

enum { CHANGES_ITEMS_MAX = 128 };

/* What became of an item. */
enum changes_item {
    CHANGES_ITEM_LATER = '0',
    CHANGES_ITEM_EQUAL = '1',
    CHANGES_ITEM_REPAIRED = '2'
};

struct changes_result {
    bool is_lost;      /* the guard did not hold: nothing was changed */
    bool has_position; /* when lost: what Redis holds instead */
    struct position position;
    bool has_late_day;                 /* visitors came for a day that was closed already */
    char items[CHANGES_ITEMS_MAX + 1]; /* enum changes_item, in the order of the list */
};

MUST_CHECK bool changes_run(struct changes *changes, struct redis *redis,
                            const struct changes_guard *guard, struct changes_result *out,
                            struct error *err);

/* A rebuild takes over: removes the position when its last whole message is `expected` ("": there
 * is none, "*": whatever there is). is_lost: it is not. */
MUST_CHECK bool changes_claim(struct changes *changes, struct redis *redis, const char *expected,
                              const char *token, struct changes_result *out, struct error *err);
