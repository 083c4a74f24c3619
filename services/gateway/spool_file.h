/*
 * spool_file.h — one SQLite file of kept batches
 *
 * Why:     a batch in it is on stable storage: write-ahead log, synchronous=FULL, so that a commit
 *          returns after its fsync. A process that is killed at any moment leaves its commits
 *          readable; the torn end of the log is SQLite's to leave out.
 * Shape:   locking_mode=EXCLUSIVE: one connection, no shared memory that a full disk could turn
 *          into SIGBUS, and SQLite itself keeps a second process out.
 * Errors:  ERROR_LIMIT: the file is full, or its disk is. ERROR_UNAVAILABLE: it cannot be read or
 *          written; if spool_file_is_broken then says true, only opening it again can help.
 * Limits:  max_bytes for the file and its log: max_page_count bounds the file, and a log over its
 *          part that cannot be moved into the file refuses further writes. SQLite gives no page
 *          back to the disk: the file stays as large as it ever was, and is used again.
 * Threads: one at a time; the owner sees to it.
 */
#pragma once

#include "keep_line.h"
#include "kept_rows.h"

struct spool_file;

enum { SPOOL_FILE_MIN_BYTES = 1 << 20, SPOOL_FILE_BUSY_MS = 200 };

/* Opens or makes it. NULL with *out_is_damaged: what is there is no whole spool. */
struct spool_file *spool_file_open(const char *path, int64_t max_bytes, bool *out_is_damaged,
                                   struct error *err);
void spool_file_close(struct spool_file **file);

/* True after an error of the disk or the file. */
bool spool_file_is_broken(const struct spool_file *self);

/* Stores every batch of the list in one transaction, or none. */
MUST_CHECK bool spool_file_write(struct spool_file *self, const struct keep_job *jobs,
                                 int64_t at_ms, struct error *err);

/* The oldest rows, up to the limits. A row that is not what was written, or that is larger than
 * payload_max, comes with FATE_DAMAGED. */
MUST_CHECK bool spool_file_read(struct spool_file *self, const struct kept_limits *limits,
                                struct kept_rows *out, struct error *err);
/* Deletes, changes and sets aside (named in table `damaged`), in one transaction; in several while
 * the disk is full. */
MUST_CHECK bool spool_file_settle(struct spool_file *self, const struct kept_rows *rows,
                                  struct error *err);

/* What it holds that will be published, by its own count. */
struct kept_state spool_file_state(struct spool_file *self);
int64_t spool_file_batches(const struct spool_file *self); /* of that state, without a reading */
int64_t spool_file_damaged_count(const struct spool_file *self); /* rows that were set aside */
int64_t spool_file_used_bytes(struct spool_file *self);          /* in pages, without the log */
int64_t spool_file_max_bytes(const struct spool_file *self);     /* what used_bytes may become */
