/*
 * tally.h — numbers by a 16-byte key, in a table that grows and is used again and again
 *
 * Why:    folding is adding to one of many counters, some hundred thousand times a second; the
 *         three things folded (counts, visitors, last sequences) all have keys of two words.
 * Shape:  the items lie densely, in the order they came until tally_sort; an open-addressing index
 *         finds them. tally_reset keeps the memory.
 * Errors: tally_at returns NULL when there is no memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tally_item {
    uint64_t a, b; /* the key */
    uint64_t value;
};

struct tally {
    struct tally_item *items;
    size_t count, capacity;
    uint32_t *slots; /* item index + 1; 0: free */
    size_t slot_mask;
};

void tally_free(struct tally *tally); /* copes with a zeroed tally */
void tally_reset(struct tally *tally);

/* The value of a key, made as 0 when it is new; valid until the next tally_at or tally_sort. */
uint64_t *tally_at(struct tally *tally, uint64_t a, uint64_t b);

/* Orders the items by key. Nothing may be added afterwards until tally_reset. */
void tally_sort(struct tally *tally);
