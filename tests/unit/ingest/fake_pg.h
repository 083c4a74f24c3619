/*
 * fake_pg.h — a PostgreSQL of one partition that does what a test says
 *
 * It knows the statements of store_sql.h by name, keeps the position and the ids it was given, and
 * writes down what was asked, so that a test can compare the order: "begin claim copy sum
 * commit".
 */
#pragma once

#include "base/error.h"
#include "event/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_IDS_MAX = 512 };

struct fake_pg {
    uint64_t position; /* committed */
    uint64_t next_position;
    bool is_batch_known; /* every batch was stored before */
    uint8_t ids[FAKE_IDS_MAX][EVENT_ID_SIZE];
    size_t id_count, committed_ids, savepoint_ids;
    uint8_t poison; /* the last byte of ids that are refused; 0: none */
    bool is_down;
    bool is_day_missing;         /* the INSERT of events finds no partition until it is attached */
    bool is_batch_day_missing;   /* nor does that of batches */
    bool is_day_stuck;           /* attaching does not help */
    int lock_refusals;           /* INSERTs to come that find a lock in their way */
    bool is_commit_unanswered;   /* COMMIT gives ERROR_UNCERTAIN ... */
    bool has_commit_taken_place; /* ... and took effect, or not */
    const char *known_ad;        /* the catalogue */
    const char *sqlstate;
    char asked[2048];
    int letters, marks; /* in the last tell */
};

extern struct fake_pg fake_pg;
void fake_pg_reset(uint64_t position);
