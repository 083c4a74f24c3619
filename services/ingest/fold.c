#define XXH_INLINE_ALL
#include "fold.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CELLS_FIRST = 256 };

void fold_init(struct fold *fold)
{
    *fold = (struct fold){0};
}

void fold_free(struct fold *fold)
{
    free(fold->cells);
    free(fold->slots);
    fold_init(fold);
}

void fold_reset(struct fold *fold)
{
    fold->count = 0;
    fold->failed = false;
    if (fold->slot_count > 0)
        memset(fold->slots, 0, fold->slot_count * sizeof(*fold->slots));
}

int64_t fold_quarter_of(int64_t at_ms)
{
    int64_t rest = at_ms % FOLD_QUARTER_MS;

    return at_ms - rest - (rest < 0 ? FOLD_QUARTER_MS : 0);
}

static uint64_t hash_key(const struct fold_cell *key)
{
    uint64_t seed = (uint64_t)key->quarter_at_ms << 8 | (uint64_t)key->type << 4 | key->reason;

    return XXH3_64bits_withSeed(key->ad_id, key->ad_id_size, seed);
}

static bool is_same(const struct fold_cell *cell, const struct fold_cell *key)
{
    return cell->quarter_at_ms == key->quarter_at_ms && cell->type == key->type &&
           cell->reason == key->reason && cell->ad_id_size == key->ad_id_size &&
           memcmp(cell->ad_id, key->ad_id, key->ad_id_size) == 0;
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t *find_slot(const struct fold *fold, const struct fold_cell *key, uint64_t hash)
{
    size_t at = hash & (fold->slot_count - 1);

    for (;; at = (at + 1) & (fold->slot_count - 1)) {
        uint32_t *slot = &fold->slots[at];
        const struct fold_cell *cell = *slot == 0 ? NULL : &fold->cells[*slot - 1];

        if (cell == NULL || (cell->hash == hash && is_same(cell, key)))
            return slot;
    }
}

/* Doubles both arrays; the slots are always twice the cells, so that a free one is near. */
static bool grow(struct fold *fold)
{
    size_t capacity = fold->capacity == 0 ? CELLS_FIRST : fold->capacity * 2;
    struct fold_cell *cells = realloc(fold->cells, capacity * sizeof(*cells));
    uint32_t *slots = NULL;

    if (cells == NULL)
        return false;
    fold->cells = cells;
    slots = calloc(capacity * 2, sizeof(*slots));
    if (slots == NULL)
        return false;
    free(fold->slots);
    fold->slots = slots;
    fold->slot_count = capacity * 2;
    fold->capacity = capacity;
    for (size_t i = 0; i < fold->count; i++)
        *find_slot(fold, &cells[i], cells[i].hash) = (uint32_t)(i + 1);
    return true;
}

void fold_add(struct fold *fold, const struct fold_cell *key, uint64_t seq, int64_t count)
{
    uint64_t hash = hash_key(key);
    uint32_t *slot = NULL;
    struct fold_cell *cell = NULL;

    if (fold->failed || (fold->count == fold->capacity && !grow(fold))) {
        fold->failed = true;
        return;
    }
    slot = find_slot(fold, key, hash);
    if (*slot == 0) {
        cell = &fold->cells[fold->count++];
        *cell = *key;
        cell->hash = hash;
        cell->last_seq = 0;
        cell->count = 0;
        *slot = (uint32_t)fold->count;
    }
    cell = &fold->cells[*slot - 1];
    cell->count += count;
    if (seq > cell->last_seq)
        cell->last_seq = seq;
}

static int compare_numbers(int64_t left, int64_t right)
{
    return (left > right) - (left < right);
}

static int compare_cells(const void *left_cell, const void *right_cell)
{
    const struct fold_cell *left = left_cell;
    const struct fold_cell *right = right_cell;
    int order = compare_numbers(left->quarter_at_ms, right->quarter_at_ms);

    if (order == 0)
        order = strcmp(left->ad_id, right->ad_id);
    if (order == 0)
        order = compare_numbers(left->type, right->type);
    if (order == 0)
        order = compare_numbers(left->reason, right->reason);
    return order;
}

void fold_sort(struct fold *fold)
{
    if (fold->count > 1)
        qsort(fold->cells, fold->count, sizeof(*fold->cells), compare_cells);
}
