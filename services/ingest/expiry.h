/*
 * expiry.h — what is deleted row by row when it is old: ranges of batches, dead letters
 *
 * Why:     events and batches go by the table, a day at a time; these two are few and have no days
 *          of their own. Dead letters are kept for longer: somebody may still want to replay them.
 * Limits:  EXPIRY_ROWS a statement, so that no lock is held for long; it goes on until none is
 *          left.
 * Errors:  as pg_query; everything is safe to repeat, and in two processes at once.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct pg;

enum { EXPIRY_ROWS = 5000 };

/* Ranges told before that day. */
MUST_CHECK bool expiry_drop_ranges(struct pg *pg, int64_t first_kept_day, size_t *out_dropped,
                                   struct error *err);
/* Dead letters that died before that day, told on ADS_DLQ or not. */
MUST_CHECK bool expiry_drop_letters(struct pg *pg, int64_t first_kept_day, size_t *out_dropped,
                                    struct error *err);
