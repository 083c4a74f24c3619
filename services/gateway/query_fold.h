/*
 * query_fold.h — PostgreSQL's rows into an ad's numbers, by the rules of Redis's buckets
 *
 * Why:    both sources must give the same numbers; here is what counters.c's spans mean for a row.
 * Shape:  pure: one call a row.
 * Units:  seconds since 1970.
 */
#pragma once

#include "counters.h"

/* One group of rows: what was counted in the second, or in the quarter hour, that begins at at_s.
 */
struct fold_row {
    int64_t at_s;
    int type, reason;
    int64_t count;
};

/* How far back the events themselves are needed, and where the quarter hours begin to be. */
enum { FOLD_RECENT_S = 3600, FOLD_QUARTERS_S = 9 * 86400 };

void fold_total(struct ad_numbers *numbers, const struct counters_question *question,
                const struct fold_row *row);
void fold_quarter(struct ad_numbers *numbers, const struct counters_question *question,
                  const struct fold_row *row);
void fold_second(struct ad_numbers *numbers, const struct counters_question *question,
                 const struct fold_row *row);
