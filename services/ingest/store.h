/*
 * store.h — one transaction: rows, sums, marks, dead letters and the position, or nothing
 *
 * Why:     exactly once needs no memory of its own when the position moves in the transaction that
 *          adds the rows: a crash, a redelivery or a second process finds it moved, or not.
 * Errors:  ERROR_UNCERTAIN when the COMMIT was not answered: read the position again, it tells.
 *          Rows that the database refuses (ERROR_INVALID inside) are no error: they are found by
 *          halving and become dead letters. ERROR_INTERNAL is a broken deployment.
 *          A COPY that meets an event that is there already is undone, and INSERT does it.
 * Memory:  borrows the connection; owns the arrays that it fills again and again.
 * Threads: one owner thread.
 *
 *   BEGIN -> claim -> ranges (only when a batch carries some) -> copy or insert -> sum
 *         -> tell (only when something was not inserted) -> COMMIT
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct pg;
struct store;

enum store_verdict {
    STORE_DONE,   /* committed */
    STORE_LOST,   /* another process moved the position: read it again; nothing was stored */
    STORE_NO_DAY, /* a day has no partition: make it and try again; nothing was stored */
};

/* How the events go in. */
enum store_way {
    STORE_BY_COPY,   /* fast; refused as a whole when one of them is there already */
    STORE_BY_INSERT, /* tells those that were there from those that were not */
    STORE_BY_HALVES, /* the same in parts, to find the rows that the database refuses */
    STORE_WAY_COUNT,
};

struct store_outcome {
    enum store_verdict verdict;
    enum store_way way;
    bool is_copy_refused; /* COPY was tried, and undone */
    uint64_t stored, duplicates, batches_seen;
    uint64_t batches_reused; /* a number seen before, with events that were not */
    uint64_t letters[LETTER_CODE_COUNT];
};

struct store *store_new(struct pg *pg, uint32_t partition); /* NULL: no memory */
void store_free(struct store **store);

/* *out_found false: the partition has no position yet. */
MUST_CHECK bool store_read_position(struct store *self, uint64_t *out_position, bool *out_found,
                                    struct error *err);
/* Gives a partition its first position; one that is there already stays. */
MUST_CHECK bool store_first_position(struct store *self, uint64_t position, struct error *err);

/* Says that everything published until at_ms (Unix) is stored. */
MUST_CHECK bool store_set_fresh(struct store *self, int64_t at_ms, struct error *err);

/* Stores the batch and moves the position from expected to the batch's last sequence. After
 * ERROR_UNCERTAIN, *out is what was done if the COMMIT took effect. */
MUST_CHECK bool store_write(struct store *self, struct batch *batch, uint64_t expected,
                            struct store_outcome *out, struct error *err);
