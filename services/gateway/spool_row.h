/*
 * spool_row.h — a batch as a row of the spool's SQLite file
 *
 * Why:    the spool writes rows, reads them back and rescues them from a damaged file: all by the
 *         same columns, in the same order, with the same checksum.
 * Shape:  pure but for SQLite's statements. The checksum is XXH3 over the payload and over what
 *         names the batch; attempt_k is outside, as it changes.
 * Format: version SPOOL_FORMAT (user_version). Table `batches` holds the rows; `damaged` names
 *         those that will not be published, and why, so that setting aside needs no room. The
 *         payload is the last column, so that the others are read without it. The schema is never
 *         changed in place: page 1 of every file of one format is alike, which rescues a file whose
 *         page 1 is damaged (spool_salvage.h).
 */
#pragma once

#include "kept_rows.h"
#include <sqlite3.h>

enum { SPOOL_FORMAT = 1, SPOOL_PAGE_BYTES = 4096 };

#define SPOOL_COLUMNS                                                                              \
    "id, gateway_id, thread, partition, batch_no, attempt_k, events, kept_at_ms, checksum, "       \
    "payload"

extern const char spool_schema_sql[];

/* Of the payload and of what names the batch. */
int64_t spool_row_checksum(const struct kept_batch *batch);

/* Binds parameters ?1 to ?10 to the columns; the payload is borrowed until the statement is reset.
 * Returns SQLite's code. */
int spool_row_bind(sqlite3_stmt *insert, int64_t id, const struct kept_batch *batch,
                   int64_t kept_at_ms);

/* Reads SPOOL_COLUMNS of the current row; the payload is borrowed until the next step. A row that
 * is not what was written gets FATE_DAMAGED and why. */
void spool_row_read(sqlite3_stmt *select, struct kept_row *out);
