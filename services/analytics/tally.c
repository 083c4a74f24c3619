#include "tally.h"

#include <stdlib.h>
#include <string.h>

enum { TALLY_ITEMS_FIRST = 1024 };

void tally_free(struct tally *tally)
{
    free(tally->items);
    free(tally->slots);
    *tally = (struct tally){0};
}

void tally_reset(struct tally *tally)
{
    if (tally->count == 0)
        return;
    memset(tally->slots, 0, (tally->slot_mask + 1) * sizeof(*tally->slots));
    tally->count = 0;
}

/* Keys are our own small numbers and visitor hashes: mixing spreads them, it need not be secret. */
static size_t hash(uint64_t a, uint64_t b)
{
    uint64_t mixed = a * 0x9E3779B97F4A7C15ULL ^ b * 0xC2B2AE3D27D4EB4FULL;

    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93ULL;
    return (size_t)(mixed ^ mixed >> 32);
}

static size_t find(const struct tally *self, uint64_t a, uint64_t b)
{
    size_t slot = hash(a, b) & self->slot_mask;

    while (self->slots[slot] != 0) {
        const struct tally_item *item = &self->items[self->slots[slot] - 1];

        if (item->a == a && item->b == b)
            break;
        slot = (slot + 1) & self->slot_mask;
    }
    return slot;
}

/* Twice the items, and an index that is at most half full. */
static int grow(struct tally *self)
{
    size_t capacity = self->capacity == 0 ? TALLY_ITEMS_FIRST : 2 * self->capacity;
    struct tally_item *items = realloc(self->items, capacity * sizeof(*items));

    if (items == NULL)
        return 0;
    self->items = items;

    uint32_t *slots = calloc(2 * capacity, sizeof(*slots));

    if (slots == NULL)
        return 0;
    free(self->slots);
    self->slots = slots;
    self->slot_mask = 2 * capacity - 1;
    self->capacity = capacity;
    for (size_t i = 0; i < self->count; i++)
        self->slots[find(self, items[i].a, items[i].b)] = (uint32_t)i + 1;
    return 1;
}

uint64_t *tally_at(struct tally *tally, uint64_t a, uint64_t b)
{
    if (tally->count == tally->capacity && !grow(tally))
        return NULL;

    size_t slot = find(tally, a, b);

    if (tally->slots[slot] == 0) {
        tally->items[tally->count] = (struct tally_item){.a = a, .b = b};
        tally->slots[slot] = (uint32_t)++tally->count;
    }
    return &tally->items[tally->slots[slot] - 1].value;
}

static int by_key(const void *left, const void *right)
{
    const struct tally_item *l = left;
    const struct tally_item *r = right;

    if (l->a != r->a)
        return l->a < r->a ? -1 : 1;
    return l->b < r->b ? -1 : l->b > r->b;
}

void tally_sort(struct tally *tally)
{
    if (tally->count > 1)
        qsort(tally->items, tally->count, sizeof(*tally->items), by_key);
}
