/*
 * fold.h — many events to few sums: how often each key came, and its last sequence
 *
 * Why:    a rollup row is touched once a transaction, not once an event, and PostgreSQL refuses to
 *         update one row twice in a statement (21000). Sorted keys are locked in one order by
 *         everybody, so that two transactions cannot wait for each other.
 * Shape:  an open-addressing hash table over an array of cells that grows; fold_sort orders the
 *         cells and ends the adding. What a caller does not tell apart it gives as 0.
 * Memory: the struct is embedded; fold_init and fold_free own the arrays, fold_reset keeps them.
 */
#pragma once

#include "event/event.h"

struct fold_cell {
    int64_t quarter_at_ms; /* begin of the quarter hour, Unix ms; 0: all time */
    uint64_t hash;
    uint64_t last_seq; /* the highest sequence that added to the cell */
    int64_t count;
    enum event_type type;
    enum event_reason reason;
    uint8_t ad_id_size;
    char ad_id[EVENT_AD_ID_MAX + 1];
};

struct fold {
    struct fold_cell *cells;
    size_t count, capacity;
    uint32_t *slots; /* index of the cell + 1; 0: free */
    size_t slot_count;
    bool failed; /* no memory: asked once, after the last fold_add */
};

enum { FOLD_QUARTER_MS = 15 * 60 * 1000 };

void fold_init(struct fold *fold);
void fold_reset(struct fold *fold);
void fold_free(struct fold *fold);

/* Begin of the quarter hour that at_ms lies in. */
int64_t fold_quarter_of(int64_t at_ms);

void fold_add(struct fold *fold, const struct fold_cell *key, uint64_t seq, int64_t count);

/* By quarter, ad, type and reason. Nothing is added after it until fold_reset. */
void fold_sort(struct fold *fold);
