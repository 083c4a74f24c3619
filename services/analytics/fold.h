/*
 * fold.h — many events become few numbers before Redis hears of them
 *
 * Why:    Redis is paid per number changed, not per event: the events of a quarter of a second on
 *         one ad are one addition for each of its buckets.
 * Shape:  counts by (ad, type, reason, second), distinct visitors of valid clicks by (ad, minute),
 *         the last sequence by (ad, quarter hour). Larger buckets are sums over neighbours once it
 *         is sorted; the order is the same for the same messages.
 * Limits: fold_is_full once entries_max is reached; asked before each event, it goes beyond by one.
 * Units:  seconds, minutes and quarter hours are whole units since 1970, UTC, of received_at.
 */
#pragma once

#include "event/event.h"
#include "tally.h"

enum { FOLD_ENTRIES_LIMIT = 10000 }; /* more would not fit into one call */

struct fold;

/* entries_max <= FOLD_ENTRIES_LIMIT. NULL: no memory. */
struct fold *fold_new(size_t entries_max);
void fold_free(struct fold **fold);
void fold_set_limit(struct fold *fold, size_t entries_max); /* from the next event on */
void fold_reset(struct fold *fold);

/* Counts one event of message seq. False: no memory, the fold is to be reset. */
bool fold_add(struct fold *fold, const struct event *event, uint64_t seq);
bool fold_is_full(const struct fold *fold);
bool fold_is_empty(const struct fold *fold);
size_t fold_entries(const struct fold *fold);

/* After fold_sort the tallies below are in order of their keys. */
void fold_sort(struct fold *fold);
const char *fold_ad_id(const struct fold *fold, uint32_t ad);

/* value: how many. a: fold_ad, fold_type, fold_reason; b: the second. */
const struct tally *fold_counts(const struct fold *fold);
/* a: fold_visitor_ad, fold_visitor_minute; b: the visitor. */
const struct tally *fold_visitors(const struct fold *fold);
/* value: the last sequence. a: the ad; b: the quarter hour. */
const struct tally *fold_lasts(const struct fold *fold);

static inline uint32_t fold_ad(uint64_t a)
{
    return (uint32_t)(a >> 16);
}
static inline enum event_type fold_type(uint64_t a)
{
    return (enum event_type)(a >> 8 & 0xff);
}
static inline enum event_reason fold_reason(uint64_t a)
{
    return (enum event_reason)(a & 0xff);
}
static inline uint32_t fold_visitor_ad(uint64_t a)
{
    return (uint32_t)(a >> 32);
}
static inline int64_t fold_visitor_minute(uint64_t a)
{
    return (int64_t)(a & UINT32_MAX);
}
