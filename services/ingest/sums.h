/*
 * sums.h — what a stored batch adds to the rollups, and which quarters it leaves marked
 *
 * Why: the rollups count what was really inserted, so they are folded after the INSERT has told.
 *      Analytics counts the stream, duplicates included; the marks tell it where to look again.
 */
#pragma once

#include "batch.h"
#include "fold.h"

/* Rows that are ROW_STORED: per quarter, and the same for all time. Both come out sorted. */
void sums_of_stored(const struct batch *batch, struct fold *quarters, struct fold *totals);

/* Quarters of rows that are not ROW_STORED, whatever their type; sorted. A batch that does not
 * begin with the message behind after_seq also marks the partition: no ad, quarter 0. What was
 * skipped is on no stream any more, and Redis may have counted some of it. */
void sums_of_missing(const struct batch *batch, uint64_t after_seq, struct fold *marks);
