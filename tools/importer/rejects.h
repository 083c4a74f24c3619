/*
 * rejects.h — records that were not imported, each with its place and its reason
 *
 * Why:    one bad record never stops the rest and is never lost: a line of the file is
 *         {"source","place","reason","record"}, which can be corrected and imported by --jsonl.
 * Errors: ERROR_UNAVAILABLE: the file cannot be written; a run that cannot tell is stopped.
 * Limits: without a file the first REJECTS_SHOWN_MAX are shown on stderr and all are counted.
 */
#pragma once

#include "source.h"

#include <stdint.h>

enum { REJECTS_SHOWN_MAX = 10 };

struct rejects;

struct rejects *rejects_open(const char *path, struct error *err); /* path NULL: no file */
/* On stable storage; what follows may delete the records themselves. */
MUST_CHECK bool rejects_sync(struct rejects *rejects, struct error *err);
void rejects_close(struct rejects **rejects);

MUST_CHECK bool rejects_add(struct rejects *rejects, const char *source, const struct item *item,
                            const char *why, struct error *err);
/* An ad, by its row's values. */
MUST_CHECK bool rejects_add_ad(struct rejects *rejects, size_t row,
                               const char *const values[AD_FIELD_COUNT], const char *why,
                               struct error *err);
int64_t rejects_count(const struct rejects *rejects);
