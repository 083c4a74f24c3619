#include "recent.h"

#include "base/auto.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct recent {
    uint64_t seed;
    uint64_t *ring; /* fingerprints, oldest at head */
    size_t capacity, head, count;
    size_t uncommitted; /* the newest of them */
    uint32_t *slots;    /* ring index + 1; 0: free */
    size_t mask;
};

/* A set twice to four times the ring keeps the probes short. */
static size_t slots_for(size_t names_max)
{
    size_t slots = 16;

    while (slots < 2 * names_max)
        slots *= 2;
    return slots;
}

struct recent *recent_new(size_t names_max, uint64_t seed)
{
    AUTO(recent_free) struct recent *recent = calloc(1, sizeof(*recent));

    if (recent == NULL || names_max == 0 || names_max >= UINT32_MAX / 4)
        return NULL;
    recent->seed = seed;
    recent->capacity = names_max;
    recent->mask = slots_for(names_max) - 1;
    recent->ring = calloc(names_max, sizeof(*recent->ring));
    recent->slots = calloc(recent->mask + 1, sizeof(*recent->slots));
    if (recent->ring == NULL || recent->slots == NULL)
        return NULL;
    return TAKE(recent);
}

void recent_free(struct recent **recent)
{
    if (*recent == NULL)
        return;
    free((*recent)->ring);
    free((*recent)->slots);
    free(*recent);
    *recent = NULL;
}

/* The slot that holds the fingerprint, or the free one where it belongs. */
static size_t find(const struct recent *self, uint64_t print)
{
    size_t slot = (size_t)print & self->mask;

    while (self->slots[slot] != 0 && self->ring[self->slots[slot] - 1] != print)
        slot = (slot + 1) & self->mask;
    return slot;
}

/* Closes the gap behind a removed slot, so that no probe ends too early. */
static void remove_print(struct recent *self, uint64_t print)
{
    size_t hole = find(self, print);

    self->slots[hole] = 0;
    for (size_t slot = (hole + 1) & self->mask; self->slots[slot] != 0;
         slot = (slot + 1) & self->mask) {
        size_t home = (size_t)self->ring[self->slots[slot] - 1] & self->mask;

        if (((slot - home) & self->mask) < ((slot - hole) & self->mask))
            continue; /* its home lies behind the hole: it is reachable as it is */
        self->slots[hole] = self->slots[slot];
        self->slots[slot] = 0;
        hole = slot;
    }
}

static void drop_oldest(struct recent *self)
{
    remove_print(self, self->ring[self->head]);
    self->head = (self->head + 1) % self->capacity;
    self->count--;
    if (self->uncommitted > self->count)
        self->uncommitted = self->count;
}

bool recent_add(struct recent *recent, const void *name, size_t size_bytes)
{
    uint64_t print = XXH3_64bits_withSeed(name, size_bytes, recent->seed);

    if (recent->slots[find(recent, print)] != 0)
        return false;
    if (recent->count == recent->capacity)
        drop_oldest(recent);

    size_t index = (recent->head + recent->count) % recent->capacity;

    recent->ring[index] = print;
    recent->slots[find(recent, print)] = (uint32_t)index + 1;
    recent->count++;
    recent->uncommitted++;
    return true;
}

void recent_commit(struct recent *recent)
{
    recent->uncommitted = 0;
}

void recent_rollback(struct recent *recent)
{
    for (; recent->uncommitted > 0; recent->uncommitted--) {
        size_t newest = (recent->head + recent->count - 1) % recent->capacity;

        remove_print(recent, recent->ring[newest]);
        recent->count--;
    }
}

void recent_clear(struct recent *recent)
{
    if (recent->count == 0)
        return; /* and its memory stays untouched while it is not used */
    memset(recent->slots, 0, (recent->mask + 1) * sizeof(*recent->slots));
    recent->head = recent->count = recent->uncommitted = 0;
}

size_t recent_count(const struct recent *recent)
{
    return recent->count;
}
