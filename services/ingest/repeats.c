#define XXH_INLINE_ALL
#include "repeats.h"

#include "event/event_id.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SLOTS_FIRST = 1024 };

void repeats_init(struct repeats *repeats, uint64_t seed)
{
    *repeats = (struct repeats){.seed = seed};
}

void repeats_free(struct repeats *repeats)
{
    free(repeats->slots);
    repeats_init(repeats, repeats->seed);
}

/* Empty, and at least twice as large as what comes. */
static bool begin(struct repeats *repeats, size_t count, struct error *err)
{
    size_t wanted = SLOTS_FIRST;

    while (wanted < count * 2)
        wanted *= 2;
    if (wanted > repeats->capacity) {
        const uint8_t **slots = realloc(repeats->slots, wanted * sizeof(*slots));

        if (slots == NULL)
            return error_set(err, ERROR_LIMIT, "no memory for a set of %zu ids", count);
        repeats->slots = slots;
        repeats->capacity = wanted;
    }
    repeats->slot_count = wanted; /* a small transaction does not empty the largest one's slots */
    memset(repeats->slots, 0, wanted * sizeof(*repeats->slots));
    return true;
}

/* False: it was there already. */
static bool add(struct repeats *repeats, const uint8_t *id)
{
    size_t mask = repeats->slot_count - 1;
    size_t at = XXH3_64bits_withSeed(id, EVENT_ID_SIZE, repeats->seed) & mask;

    for (; repeats->slots[at] != NULL; at = (at + 1) & mask)
        if (memcmp(repeats->slots[at], id, EVENT_ID_SIZE) == 0)
            return false;
    repeats->slots[at] = id;
    return true;
}

bool repeats_leave_out(struct repeats *repeats, struct batch *batch, uint32_t *rows, size_t *count,
                       struct error *err)
{
    size_t kept = 0;

    if (!begin(repeats, *count, err))
        return false;
    for (size_t i = 0; i < *count; i++) {
        struct batch_row *row = &batch->rows[rows[i]];

        if (add(repeats, row->event.id))
            rows[kept++] = rows[i];
        else
            row->fate = ROW_DUPLICATE;
    }
    *count = kept;
    return true;
}
