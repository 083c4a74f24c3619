#include "ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SPOOLED, ABANDONED, LIST_COUNT };

/* One number of the ring. */
struct entry {
    uint32_t events;
    uint8_t fate; /* enum ledger_fate */
    /* While it is under way: the newest range of each list that its header tells; 0: none. */
    uint64_t told[LIST_COUNT];
    uint64_t settled_below; /* as its header tells it */
};

struct range {
    struct codec_range numbers;
    uint64_t serial;         /* ranges are told in this order */
    uint64_t accepted_below; /* of all lower numbers, as soon as first is below base */
};

/* By number. Those that a header tells are always those with the lowest serials. */
struct range_list {
    size_t count;
    uint64_t last_serial;
    struct range rows[LEDGER_RANGES_MAX];
};

struct ledger {
    uint64_t base; /* the lowest open number, or last + 1 */
    uint64_t last;
    uint64_t accepted;   /* events answered 202 in the numbers below base */
    uint64_t told_below; /* the highest settled_below that the stream has stored */
    uint64_t last_news;  /* the highest settled number that had events */
    size_t open_count;
    struct range_list lists[LIST_COUNT];
    struct entry ring[LEDGER_WINDOW];
};

static struct entry *entry_of(struct ledger *self, uint64_t number)
{
    return &self->ring[number % LEDGER_WINDOW];
}

struct ledger *ledger_new(void)
{
    struct ledger *self = calloc(1, sizeof(*self));

    if (self != NULL)
        self->base = self->told_below = 1;
    return self;
}

void ledger_free(struct ledger **ledger)
{
    free(*ledger);
    *ledger = NULL;
}

/* Each open number may become a range of its own. */
bool ledger_has_room(const struct ledger *self, bool is_heartbeat)
{
    size_t limit = LEDGER_RANGES_MAX - (is_heartbeat ? 0 : LEDGER_RANGES_SPARE);

    if (self->last + 1 - self->base >= LEDGER_WINDOW)
        return false;
    for (size_t i = 0; i < LIST_COUNT; i++) {
        if (self->lists[i].count + self->open_count >= limit)
            return false;
    }
    return true;
}

/* ---- what a header says ---- */

/* The serial of the newest range that a header has room for; 0: there is none to tell. */
static uint64_t newest_told(const struct range_list *list)
{
    uint64_t oldest[CODEC_RANGES_MAX]; /* ascending */
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++) {
        uint64_t serial = list->rows[i].serial;
        size_t at = count;

        while (at > 0 && oldest[at - 1] > serial)
            at--;
        if (at == CODEC_RANGES_MAX)
            continue;
        if (count < CODEC_RANGES_MAX)
            count++;
        memmove(&oldest[at + 1], &oldest[at], (count - at - 1) * sizeof(oldest[0]));
        oldest[at] = serial;
    }
    return count > 0 ? oldest[count - 1] : 0;
}

/* Tells the ranges up to this serial. The first one that stays untold holds settled_below back. */
static void tell_list(const struct range_list *list, uint64_t told, struct codec_ranges *out,
                      struct codec_header *header)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct range *range = &list->rows[i];

        if (range->serial <= told) {
            out->rows[out->count++] = range->numbers;
        } else if (range->numbers.first < header->settled_below) {
            header->settled_below = range->numbers.first;
            header->accepted = range->accepted_below;
        }
    }
}

void ledger_open_number(struct ledger *self, uint32_t events, bool is_for_stream,
                        struct codec_header *header)
{
    uint64_t spooled = newest_told(&self->lists[SPOOLED]);
    uint64_t abandoned = newest_told(&self->lists[ABANDONED]);
    struct entry *entry = entry_of(self, self->last + 1);

    assert(self->last + 1 - self->base < LEDGER_WINDOW);
    header->batch_no = ++self->last;
    header->settled_below = self->base;
    header->accepted = self->accepted;
    header->spooled.count = header->abandoned.count = 0;
    tell_list(&self->lists[SPOOLED], spooled, &header->spooled, header);
    tell_list(&self->lists[ABANDONED], abandoned, &header->abandoned, header);
    *entry = (struct entry){.events = events, .settled_below = header->settled_below};
    if (is_for_stream) {
        entry->told[SPOOLED] = spooled;
        entry->told[ABANDONED] = abandoned;
    }
    self->open_count++;
}

/* ---- ranges ---- */

/* Up to this serial the list's ranges are in a header that is under way. */
static uint64_t frozen_serial(const struct ledger *self, size_t list)
{
    uint64_t frozen = 0;

    for (uint64_t n = self->base; n <= self->last; n++) {
        const struct entry *entry = &self->ring[n % LEDGER_WINDOW];

        if (entry->fate == LEDGER_OPEN && entry->told[list] > frozen)
            frozen = entry->told[list];
    }
    return frozen;
}

/* Makes one of all neighbours that meet and are not frozen. */
static void coalesce(struct range_list *list, uint64_t frozen)
{
    size_t kept = 0;

    for (size_t i = 1; i < list->count; i++) {
        struct range *low = &list->rows[kept], *high = &list->rows[i];

        if (low->numbers.last + 1 != high->numbers.first || low->serial <= frozen ||
            high->serial <= frozen) {
            list->rows[++kept] = *high;
            continue;
        }
        low->numbers.last = high->numbers.last;
        low->numbers.events += high->numbers.events;
        if (high->serial < low->serial)
            low->serial = high->serial;
    }
    if (list->count > 0)
        list->count = kept + 1;
}

static void add_range(struct ledger *self, size_t which, uint64_t number, uint32_t events)
{
    struct range_list *list = &self->lists[which];
    size_t at = list->count;

    assert(list->count < LEDGER_RANGES_MAX); /* ledger_has_room has seen to it */
    while (at > 0 && list->rows[at - 1].numbers.first > number)
        at--;
    memmove(&list->rows[at + 1], &list->rows[at], (list->count - at) * sizeof(list->rows[0]));
    list->rows[at] = (struct range){{number, number, events}, ++list->last_serial, 0};
    list->count++;
}

/* The stream has a header that tells them. */
static void forget_told(struct range_list *list, uint64_t told)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->rows[i].serial > told)
            list->rows[kept++] = list->rows[i];
    }
    list->count = kept;
}

/* ---- settling ---- */

/* A range learns the sum below it at the moment that base reaches it. */
static void note_accepted(struct range_list *list, uint64_t first, uint64_t accepted)
{
    for (size_t i = 0; i < list->count && list->rows[i].numbers.first <= first; i++) {
        if (list->rows[i].numbers.first == first)
            list->rows[i].accepted_below = accepted;
    }
}

static void advance_base(struct ledger *self)
{
    while (self->base <= self->last) {
        const struct entry *entry = entry_of(self, self->base);

        if (entry->fate == LEDGER_OPEN)
            return;
        if (entry->fate == LEDGER_SPOOLED)
            note_accepted(&self->lists[SPOOLED], self->base, self->accepted);
        else if (entry->fate == LEDGER_ABANDONED)
            note_accepted(&self->lists[ABANDONED], self->base, self->accepted);
        if (entry->fate != LEDGER_ABANDONED)
            self->accepted += entry->events;
        self->base++;
    }
}

void ledger_settle(struct ledger *self, uint64_t number, enum ledger_fate fate)
{
    struct entry *entry = entry_of(self, number);

    assert(number >= self->base && number <= self->last && entry->fate == LEDGER_OPEN);
    entry->fate = (uint8_t)fate;
    self->open_count--;
    if (entry->events > 0 && number > self->last_news)
        self->last_news = number;
    if (fate == LEDGER_STORED) {
        for (size_t i = 0; i < LIST_COUNT; i++)
            forget_told(&self->lists[i], entry->told[i]);
        if (entry->settled_below > self->told_below)
            self->told_below = entry->settled_below;
    } else {
        add_range(self, fate == LEDGER_SPOOLED ? SPOOLED : ABANDONED, number, entry->events);
    }
    advance_base(self);
    for (size_t i = 0; i < LIST_COUNT; i++) {
        if (self->lists[i].count > 1)
            coalesce(&self->lists[i], frozen_serial(self, i));
    }
}

bool ledger_has_news(const struct ledger *self)
{
    return ledger_ranges(self) > 0 || self->last_news >= self->told_below;
}

size_t ledger_ranges(const struct ledger *self)
{
    return self->lists[SPOOLED].count + self->lists[ABANDONED].count;
}

size_t ledger_open_count(const struct ledger *self)
{
    return self->open_count;
}
