/*
 * spool.h — the second line of keeping: batches on this machine's disk
 *
 * Why:     while the stream cannot take a batch, its events are answered 202 from here; the
 *          replayer publishes them when the stream is back.
 * Shape:   SPOOL_DIR/<instance> is this gateway's (spool_dir.h), with one SQLite file in it
 *          (spool_file.h). Directories of instances that are gone are adopted: emptied like the own
 *          one, and removed.
 *
 *            line's thread --write--> own file <--claim, settle-- replayer's thread
 *                                     adopted files <------------/
 *
 * Errors:  opening fails only for what a person must settle: the instance's lock is held by a
 *          living process (ERROR_INVALID), or no memory. A directory or disk that does not serve is
 *          tried again by spool_tend; until then a write is ERROR_UNAVAILABLE.
 * Limits:  max_bytes on disk; SPOOL_ADOPTED_MAX adopted directories at a time; SPOOL_TURN_MS that
 *          a write waits for the replayer's turn at the file; SPOOL_RESCUE_EVERY_MS before a
 *          rescue that stopped half-way (spool_salvage.h) goes on, by opening the file again when
 *          it is empty.
 * Threads: write on the line's, tend, sources and report on the replayer's, the rest on any.
 */
#pragma once

#include "kept_rows.h"
#include "spool_dir.h"

struct spool;
struct service_component;

enum {
    SPOOL_ADOPTED_MAX = 8,
    SPOOL_ADOPT_EVERY_MS = 3000,
    SPOOL_TURN_MS = 500,
    SPOOL_RESCUE_EVERY_MS = 60000,
    SPOOL_REOPEN_BASE_MS = 250,
    SPOOL_REOPEN_CAP_MS = 5000,
};

struct spool_options {
    const char *directory; /* borrowed until spool_close */
    const char *instance;  /* borrowed likewise */
    int64_t max_bytes;
};

struct spool *spool_open(const struct spool_options *options, struct error *err);
void spool_close(struct spool **spool);

/* For keep_line_open. */
struct keep_store spool_store(struct spool *self);

/* Opens again what has failed, adopts what is there to adopt, removes what is empty. */
void spool_tend(struct spool *self, int64_t now_ms);
/* What is there to be published: the own file first. Valid until the next spool_tend. */
size_t spool_sources(struct spool *self, struct replay_source out[SPOOL_ADOPTED_MAX + 1]);
/* Sets the gauges. */
void spool_report(struct spool *self);
/* Batches in the own file, and in the adopted ones as of the last report. */
int64_t spool_batches(const struct spool *self);

/* The component of /health: down without a file, degraded when it is nearly full or holds what
 * nobody can publish, or a damaged file is not rescued yet. */
struct service_component spool_describe(const struct spool *self);
