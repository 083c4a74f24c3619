/*
 * spool_salvage.h — opens a spool's file, whatever state it is in
 *
 * Why:     a file that SQLite cannot read, or finds malformed, still holds batches that were
 *          answered 202. It is set aside under another name, and what can be read of it goes into
 *          a new file; only rows with a right checksum do.
 * Shape:   rows are read from both ends up to the first damaged page, then one by one between
 *          them. If not even the schema can be read, page 1 is taken from the new file: all files
 *          of one format have the same.
 * Errors:  as spool_file_open; a rescue that stops half-way is told by struct spool_salvage.
 * Limits:  SALVAGE_PROBES_MAX ids are looked for one by one. The file that was set aside stays, for
 *          whoever is to look into it, and counts for no limit.
 * Threads: any.
 */
#pragma once

#include "spool_file.h"

struct spool_salvage {
    bool was_damaged;
    char why[200];
    char aside[300]; /* where the damaged file is now */
    int64_t rescued; /* rows that are in the new file */
    int64_t wrong;   /* rows with a wrong checksum */
    bool is_partial; /* the new file could not take all that was read */
};

struct spool_file *spool_salvage_open(const char *path, int64_t max_bytes, int64_t at_ms,
                                      struct spool_salvage *out, struct error *err);
