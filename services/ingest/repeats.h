/*
 * repeats.h — rows of one transaction whose id came before in it
 *
 * Why:     COPY fails on an id that comes twice, so only the first is sent, as only the first
 *          counts.
 * Shape:   an open-addressing set of the ids, at most half full, emptied by each call.
 * Memory:  the struct is embedded and owns its slots.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct repeats {
    const uint8_t **slots; /* ids; NULL: free */
    size_t slot_count;     /* a power of two */
    size_t capacity;
    uint64_t seed; /* clients choose ids: they must not choose their places in here as well */
};

void repeats_init(struct repeats *repeats, uint64_t seed);
void repeats_free(struct repeats *repeats);

/*
 * Takes the indexes of repeated rows out of rows, *count of them, and makes those rows duplicates.
 * ERROR_LIMIT: no memory.
 */
MUST_CHECK bool repeats_leave_out(struct repeats *repeats, struct batch *batch, uint32_t *rows,
                                  size_t *count, struct error *err);
