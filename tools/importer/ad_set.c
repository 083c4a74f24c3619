#include "ad_set.h"

#include "base/auto.h"
#include "event/event.h"

#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ADS_FIRST = 256 };

struct ad_set {
    char (*ids)[EVENT_AD_ID_MAX + 1]; /* in the order they came */
    size_t count, capacity;
    uint32_t *slots; /* index + 1; 0: free; twice the capacity */
};

struct ad_set *ad_set_new(void)
{
    return calloc(1, sizeof(struct ad_set));
}

void ad_set_free(struct ad_set **set)
{
    if (*set == NULL)
        return;
    free((*set)->ids);
    free((*set)->slots);
    free(*set);
    *set = NULL;
}

static uint32_t *find(const struct ad_set *self, const char *ad_id, size_t size)
{
    size_t mask = 2 * self->capacity - 1;
    size_t slot = (size_t)XXH3_64bits(ad_id, size) & mask;

    for (; self->slots[slot] != 0; slot = (slot + 1) & mask) {
        const char *held = self->ids[self->slots[slot] - 1];

        if (strncmp(held, ad_id, size) == 0 && held[size] == '\0')
            break;
    }
    return &self->slots[slot];
}

static bool grow(struct ad_set *self)
{
    size_t capacity = self->capacity == 0 ? ADS_FIRST : 2 * self->capacity;
    char(*ids)[EVENT_AD_ID_MAX + 1] = realloc(self->ids, capacity * sizeof(*ids));
    uint32_t *slots = NULL;

    if (ids == NULL)
        return false;
    self->ids = ids;
    slots = calloc(2 * capacity, sizeof(*slots));
    if (slots == NULL)
        return false;
    free(self->slots);
    self->slots = slots;
    self->capacity = capacity;
    for (size_t i = 0; i < self->count; i++)
        *find(self, ids[i], strlen(ids[i])) = (uint32_t)i + 1;
    return true;
}

bool ad_set_add(struct ad_set *set, const char *ad_id, size_t size_bytes, bool *out_is_new)
{
    uint32_t *slot = NULL;

    if (set->count == set->capacity && (set->count >= ADS_MAX || !grow(set)))
        return false;
    slot = find(set, ad_id, size_bytes);
    *out_is_new = *slot == 0;
    if (!*out_is_new)
        return true;
    memcpy(set->ids[set->count], ad_id, size_bytes);
    set->ids[set->count][size_bytes] = '\0';
    *slot = (uint32_t)++set->count;
    return true;
}

size_t ad_set_count(const struct ad_set *set)
{
    return set->count;
}

const char *ad_set_get(const struct ad_set *set, size_t index)
{
    return set->ids[index];
}
