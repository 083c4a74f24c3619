#include "id_set.h"

#include <assert.h>
#include <string.h>

struct use {
    uint8_t id[EVENT_ID_SIZE];
    enum event_type type; /* EVENT_UNSPECIFIED: the place is free */
    uint32_t ad;          /* a hash: two ads that share it are not told apart, which harms nobody */
};

struct id_set {
    size_t mask; /* places - 1 */
    size_t count;
    struct use places[];
};

static size_t count_places(size_t ids_max)
{
    size_t places = 2;

    while (places < 2 * ids_max)
        places *= 2;
    return places;
}

size_t id_set_size(size_t ids_max)
{
    return sizeof(struct id_set) + count_places(ids_max) * sizeof(struct use);
}

struct id_set *id_set_init(void *memory, size_t ids_max)
{
    struct id_set *self = memory;

    memset(memory, 0, id_set_size(ids_max));
    self->mask = count_places(ids_max) - 1;
    return self;
}

/* The last bytes of a UUID are random in every version that we take. */
static size_t first_place(const struct id_set *self, const uint8_t id[EVENT_ID_SIZE])
{
    uint32_t tail = 0;

    memcpy(&tail, id + EVENT_ID_SIZE - sizeof(tail), sizeof(tail));
    return tail & self->mask;
}

bool id_set_add(struct id_set *self, const struct event *event)
{
    const uint32_t ad = event_partition(event->ad_id, event->ad_id_size, UINT32_MAX);
    size_t at = first_place(self, event->id);
    struct use *use = &self->places[at];

    for (; use->type != EVENT_UNSPECIFIED; use = &self->places[at]) {
        if (memcmp(use->id, event->id, EVENT_ID_SIZE) == 0)
            return use->type == event->type && use->ad == ad;
        at = (at + 1) & self->mask;
    }
    assert(self->count < self->mask); /* one place stays free, so that every search ends */
    self->count++;
    memcpy(use->id, event->id, EVENT_ID_SIZE);
    use->type = event->type;
    use->ad = ad;
    return true;
}
