/*
 * ledger.h — the numbers of one lane, what became of each, and what the readers are told of them
 *
 * Why:     a batch number that never reaches the stream looks like a loss, unless a later batch
 *          says that it is kept elsewhere or that nothing was promised. Each header therefore
 *          carries what is settled, and the ranges of numbers that took another way.
 * Shape:   a ring of the numbers from the lowest open one to the last; behind it only sums, and the
 *          ranges that wait to be told. Ranges go into every header, oldest first, until a batch
 *          that carried them is stored.
 *
 *            1 ........ base ................ last
 *            settled    open or settled       next number
 *            |__ told: sums and ranges __|
 *
 *          Two ranges that meet become one, but never while a header under way has told either of
 *          them: what its ack will remove must be what it told.
 * Errors:  none; ledger_has_room says no when the ring or the list of ranges is full, until the
 *          oldest batch is settled or a told batch is stored.
 * Limits:  LEDGER_WINDOW open numbers, LEDGER_RANGES_MAX ranges of each fate; LEDGER_RANGES_SPARE
 *          of these are only for heartbeats, which free the others.
 * Threads: one loop thread.
 */
#pragma once

#include "event/codec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGER_WINDOW = 1024, LEDGER_RANGES_MAX = 128, LEDGER_RANGES_SPARE = 4 };

enum ledger_fate {
    LEDGER_OPEN,
    LEDGER_STORED,    /* by the stream */
    LEDGER_SPOOLED,   /* answered 202 from spool or inbox */
    LEDGER_ABANDONED, /* answered 503, or a heartbeat that nobody has stored */
};

struct ledger;

/* NULL: no memory. */
struct ledger *ledger_new(void);
void ledger_free(struct ledger **ledger);

/* Whether another number may be given, to a batch of events or to a heartbeat. */
bool ledger_has_room(const struct ledger *self, bool is_heartbeat);

/* Gives the next number to a batch of so many events (0: a heartbeat) and fills the header's
 * batch_no, settled_below, accepted and ranges. A header that goes to the stream at once freezes
 * the ranges that it tells until its number is settled. */
void ledger_open_number(struct ledger *self, uint32_t events, bool is_for_stream,
                        struct codec_header *header);

/* Once for each number that was given. */
void ledger_settle(struct ledger *self, uint64_t number, enum ledger_fate fate);

/* True when the readers do not know all that is settled: a heartbeat would tell them something. */
bool ledger_has_news(const struct ledger *self);
size_t ledger_ranges(const struct ledger *self); /* that wait to be told */
size_t ledger_open_count(const struct ledger *self);
