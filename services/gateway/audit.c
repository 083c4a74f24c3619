#include "audit.h"

#include <stdlib.h>
#include <string.h>

const char *const audit_class_names[AUDIT_CLASS_COUNT + 1] = {"lost",     "pending", "unpromised",
                                                              "unproven", "unequal", NULL};

bool audit_init(struct audit *audit, int64_t from_ms, int64_t to_ms)
{
    *audit = (struct audit){.from_ms = from_ms, .to_ms = to_ms, .is_complete = true};
    audit->minute_count = (size_t)((to_ms - from_ms + AUDIT_MINUTE_MS - 1) / AUDIT_MINUTE_MS);
    audit->minutes = calloc(audit->minute_count + 1, sizeof(*audit->minutes));
    audit->findings = calloc(AUDIT_FINDINGS_MAX, sizeof(*audit->findings));
    if (audit->minutes != NULL && audit->findings != NULL)
        return true;
    audit_free(audit);
    return false;
}

void audit_free(struct audit *audit)
{
    free(audit->minutes);
    free(audit->findings);
    audit->minutes = NULL;
    audit->findings = NULL;
}

static struct audit_minute *minute_of(struct audit *self, int64_t at_ms)
{
    int64_t index = (at_ms - self->from_ms) / AUDIT_MINUTE_MS;

    if (index >= (int64_t)self->minute_count)
        index = (int64_t)self->minute_count - 1;
    if (index < 0)
        index = 0;
    return &self->minutes[index];
}

static void add_sums(struct audit_minute *to, const struct audit_minute *from)
{
    to->accepted += from->accepted;
    to->unpromised += from->unpromised;
    to->stored += from->stored;
    to->duplicates += from->duplicates;
    to->dead += from->dead;
    to->pending += from->pending;
    to->lost += from->lost;
    to->batches += from->batches;
    for (size_t i = 0; i < AUDIT_CLASS_COUNT; i++)
        to->missing[i] += from->missing[i];
}

void audit_add_stored(struct audit *audit, int64_t at_ms, const struct audit_minute *sums)
{
    add_sums(minute_of(audit, at_ms), sums);
}

static void find(struct audit *self, const struct audit_finding *finding)
{
    if (self->finding_count == AUDIT_FINDINGS_MAX) {
        self->is_complete = false;
        return;
    }
    self->findings[self->finding_count++] = *finding;
}

/* The first range of this fate that has the number; NULL: none. */
static struct audit_range *range_of(struct audit_range *ranges, size_t count, enum audit_fate fate,
                                    uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i].fate == fate && ranges[i].first <= number && number <= ranges[i].last)
            return &ranges[i];
    return NULL;
}

/* The last number up to last that no range begins behind number for. */
static uint64_t before_next_range(const struct audit_range *ranges, size_t count, uint64_t number,
                                  uint64_t last)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i].first > number && ranges[i].first <= last)
            last = ranges[i].first - 1;
    return last;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* From part->first on: the class, and how far it reaches. Returns the spooled range, if it is one.
 */
static struct audit_range *judge(const struct audit_lane *lane, struct audit_range *ranges,
                                 size_t count, uint64_t last, struct audit_finding *part)
{
    struct audit_range *spooled = range_of(ranges, count, AUDIT_SPOOLED, part->first);
    struct audit_range *abandoned = range_of(ranges, count, AUDIT_ABANDONED, part->first);

    if (spooled != NULL) {
        part->class = AUDIT_PENDING;
        part->last = lower(spooled->last, last);
        return spooled;
    }
    part->last = before_next_range(ranges, count, part->first, last);
    if (abandoned != NULL) {
        part->class = AUDIT_UNPROMISED;
        part->last = lower(abandoned->last, part->last);
    } else if (part->first < lane->settled_below) {
        part->class = AUDIT_LOST;
        part->last = lower(lane->settled_below - 1, part->last);
    } else {
        part->class = lane->is_heard ? AUDIT_PENDING : AUDIT_UNPROVEN;
    }
    return NULL;
}

void audit_judge_gap(struct audit *audit, const struct audit_lane *lane, struct audit_range *ranges,
                     size_t range_count, const struct audit_gap *gap)
{
    struct audit_minute *minute = minute_of(audit, gap->at_ms);
    struct audit_finding part = {.lane = *lane, .first = gap->first, .at_ms = gap->at_ms};

    for (; part.first <= gap->last; part.first = part.last + 1) {
        struct audit_range *spooled = judge(lane, ranges, range_count, gap->last, &part);

        part.events = -1;
        if (spooled != NULL && !spooled->is_filed) {
            /* Once, however many gaps the range shows. */
            part.events = spooled->events_missing;
            minute->pending += spooled->events_missing;
            minute->accepted += spooled->events_missing;
            spooled->is_filed = true;
        }
        minute->missing[part.class] += (int64_t)(part.last - part.first + 1);
        find(audit, &part);
    }
}

static bool is_same_lane(const struct audit_lane *a, const struct audit_lane *b)
{
    return a->thread == b->thread && a->partition == b->partition &&
           strcmp(a->gateway_id, b->gateway_id) == 0;
}

void audit_add_difference(struct audit *audit, const struct audit_lane *lane, int64_t at_ms,
                          int64_t events)
{
    struct audit_finding unequal = {
        .class = AUDIT_UNEQUAL, .lane = *lane, .at_ms = at_ms, .events = events};
    struct audit_finding *lost = NULL;

    if (events == 0)
        return;
    for (size_t i = 0; i < audit->finding_count && lost == NULL; i++)
        if (audit->findings[i].class == AUDIT_LOST && is_same_lane(&audit->findings[i].lane, lane))
            lost = &audit->findings[i];
    if (lost != NULL && events > 0) {
        lost->events = events;
        at_ms = lost->at_ms;
    } else {
        minute_of(audit, at_ms)->missing[AUDIT_UNEQUAL]++;
        find(audit, &unequal);
    }
    minute_of(audit, at_ms)->accepted += events;
    minute_of(audit, at_ms)->lost += events > 0 ? events : 0;
}

void audit_close(struct audit *audit)
{
    audit->total = (struct audit_minute){0};
    for (size_t i = 0; i < audit->minute_count; i++)
        add_sums(&audit->total, &audit->minutes[i]);
}

bool audit_minute_is_balanced(const struct audit_minute *minute)
{
    return minute->missing[AUDIT_LOST] == 0 && minute->missing[AUDIT_UNEQUAL] == 0 &&
           minute->lost == 0 &&
           minute->accepted + minute->unpromised ==
               minute->stored + minute->duplicates + minute->dead + minute->pending;
}

/* One minute must not make up for another. */
bool audit_is_balanced(const struct audit *audit)
{
    for (size_t i = 0; i < audit->minute_count; i++)
        if (!audit_minute_is_balanced(&audit->minutes[i]))
            return false;
    return audit->is_complete;
}
