/*
 * spool_known.h — which batches a spool's file holds, while a rescue adds to it
 *
 * Why:     a rescue that begins again meets batches that it has copied already, and two damaged
 *          files may hold the same one: the file must not grow with every try.
 * Shape:   a table of checksums (spool_row.h) in SQLite's own memory, of the file's connection.
 * Errors:  ERROR_LIMIT without memory; others as spool_file_fail says.
 * Memory:  some 20 bytes a batch, from begin to end.
 * Threads: the file's.
 */
#pragma once

#include "spool_file.h"

#include <sqlite3.h>

struct spool_known {
    struct spool_file *file; /* borrowed */
    sqlite3_stmt *add;
};

/* spool_known_end is due after a false, too. */
MUST_CHECK bool spool_known_begin(struct spool_known *self, struct spool_file *file,
                                  struct error *err);
/* *out_is_new: it was not known; it is from now on. */
MUST_CHECK bool spool_known_add(struct spool_known *self, const struct kept_batch *batch,
                                bool *out_is_new, struct error *err);
void spool_known_end(struct spool_known *self);
