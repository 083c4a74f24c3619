/*
 * spool_salvage.h — opens a spool's file, whatever state it is in
 *
 * Why:     a file that SQLite cannot read, or finds malformed, still holds batches that were
 *          answered 202. It is set aside under another name, and what can be read of it goes into
 *          a new file; only rows with a right checksum do.
 * Shape:   rows are read from both ends up to the first damaged page, then one by one between
 *          them. If not even the schema can be read, page 1 is taken from the new file: all files
 *          of one format have the same.
 * Resume:  the file aside is the memory of a rescue (spool_aside.h), and says in its page 1 how far
 *          it came: every opening goes on with it, until all that can be read is committed. What is
 *          in the new file already is not copied twice; what has been published meanwhile may be
 *          published again, and counts once, as ingest knows it.
 * Errors:  as spool_file_open; ERROR_LIMIT also when too many files aside wait. A rescue that stops
 *          half-way, for want of room, memory or a disk that answers, is told by is_partial and
 *          stopped_by.
 * Limits:  SALVAGE_PROBES_MAX ids are looked for one by one. A file that was set aside stays, for
 *          whoever is to look into it, and counts for no limit of bytes; spool_aside.h has the
 *          number of them.
 * Threads: any.
 */
#pragma once

#include "spool_aside.h"
#include "spool_file.h"

struct spool_salvage {
    bool was_damaged; /* by this opening's finding */
    char why[200];
    char aside[SPOOL_ASIDE_PATH_MAX]; /* the file that was read, or the last of them */
    size_t asides;                    /* files that were to be rescued */
    int64_t rescued;                  /* rows that were copied into the file */
    int64_t wrong;                    /* rows with a wrong checksum */
    bool is_partial;                  /* there is more to copy: the next opening goes on */
    struct error stopped_by;          /* why, if it is partial */
};

struct spool_file *spool_salvage_open(const char *path, int64_t max_bytes, int64_t at_ms,
                                      struct spool_salvage *out, struct error *err);
