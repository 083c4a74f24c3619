#include "fold.h"

#include "base/auto.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FOLD_ADS_FIRST = 256, SECOND_MS = 1000, MINUTE_MS = 60 * 1000, QUARTER_MS = 900 * 1000 };

struct fold {
    size_t entries_max;
    struct tally counts, visitors, lasts;
    char (*ads)[EVENT_AD_ID_MAX + 1]; /* in the order they came */
    size_t ad_count, ad_capacity;
    uint32_t *ad_slots; /* ad + 1; 0: free */
    size_t ad_mask;
};

struct fold *fold_new(size_t entries_max)
{
    struct fold *fold = calloc(1, sizeof(*fold));

    if (fold != NULL)
        fold->entries_max = entries_max;
    return fold;
}

void fold_free(struct fold **fold)
{
    if (*fold == NULL)
        return;
    tally_free(&(*fold)->counts);
    tally_free(&(*fold)->visitors);
    tally_free(&(*fold)->lasts);
    free((*fold)->ads);
    free((*fold)->ad_slots);
    free(*fold);
    *fold = NULL;
}

void fold_set_limit(struct fold *fold, size_t entries_max)
{
    fold->entries_max = entries_max;
}

void fold_reset(struct fold *fold)
{
    tally_reset(&fold->counts);
    tally_reset(&fold->visitors);
    tally_reset(&fold->lasts);
    if (fold->ad_count > 0)
        memset(fold->ad_slots, 0, (fold->ad_mask + 1) * sizeof(*fold->ad_slots));
    fold->ad_count = 0;
}

static size_t find_ad(const struct fold *self, const char *ad_id, size_t size)
{
    size_t slot = (size_t)XXH3_64bits(ad_id, size) & self->ad_mask;

    while (self->ad_slots[slot] != 0 && strcmp(self->ads[self->ad_slots[slot] - 1], ad_id) != 0)
        slot = (slot + 1) & self->ad_mask;
    return slot;
}

static bool grow_ads(struct fold *self)
{
    size_t capacity = self->ad_capacity == 0 ? FOLD_ADS_FIRST : 2 * self->ad_capacity;
    char(*ads)[EVENT_AD_ID_MAX + 1] = realloc(self->ads, capacity * sizeof(*ads));

    if (ads == NULL)
        return false;
    self->ads = ads;

    uint32_t *slots = calloc(2 * capacity, sizeof(*slots));

    if (slots == NULL)
        return false;
    free(self->ad_slots);
    self->ad_slots = slots;
    self->ad_mask = 2 * capacity - 1;
    self->ad_capacity = capacity;
    for (size_t i = 0; i < self->ad_count; i++)
        self->ad_slots[find_ad(self, ads[i], strlen(ads[i]))] = (uint32_t)i + 1;
    return true;
}

/* The ad's number in this fold. */
static bool number_ad(struct fold *self, const struct event *event, uint32_t *out_ad)
{
    if (self->ad_count == self->ad_capacity && !grow_ads(self))
        return false;

    size_t slot = find_ad(self, event->ad_id, event->ad_id_size);

    if (self->ad_slots[slot] == 0) {
        memcpy(self->ads[self->ad_count], event->ad_id, (size_t)event->ad_id_size + 1);
        self->ad_slots[slot] = (uint32_t)++self->ad_count;
    }
    *out_ad = self->ad_slots[slot] - 1;
    return true;
}

bool fold_add(struct fold *fold, const struct event *event, uint64_t seq)
{
    int64_t at_ms = event->received_at_ms;
    uint32_t ad = 0;

    if (!number_ad(fold, event, &ad))
        return false;

    uint64_t series = (uint64_t)ad << 16 | (uint64_t)event->type << 8 | (uint64_t)event->reason;
    uint64_t *count = tally_at(&fold->counts, series, (uint64_t)(at_ms / SECOND_MS));
    uint64_t *last = tally_at(&fold->lasts, ad, (uint64_t)(at_ms / QUARTER_MS));

    if (count == NULL || last == NULL)
        return false;
    *count += 1;
    *last = seq; /* messages come in order */
    if (event->type != EVENT_CLICK || event->reason != EVENT_VALID || event->visitor == 0)
        return true;

    uint64_t minute = (uint64_t)ad << 32 | (uint64_t)(at_ms / MINUTE_MS & UINT32_MAX);
    uint64_t *seen = tally_at(&fold->visitors, minute, event->visitor);

    if (seen == NULL)
        return false;
    *seen = 1;
    return true;
}

size_t fold_entries(const struct fold *fold)
{
    return fold->counts.count + fold->visitors.count;
}

bool fold_is_full(const struct fold *fold)
{
    return fold_entries(fold) >= fold->entries_max;
}

bool fold_is_empty(const struct fold *fold)
{
    return fold->counts.count == 0;
}

void fold_sort(struct fold *fold)
{
    tally_sort(&fold->counts);
    tally_sort(&fold->visitors);
    tally_sort(&fold->lasts);
}

const char *fold_ad_id(const struct fold *fold, uint32_t ad)
{
    return fold->ads[ad];
}

const struct tally *fold_counts(const struct fold *fold)
{
    return &fold->counts;
}

const struct tally *fold_visitors(const struct fold *fold)
{
    return &fold->visitors;
}

const struct tally *fold_lasts(const struct fold *fold)
{
    return &fold->lasts;
}
