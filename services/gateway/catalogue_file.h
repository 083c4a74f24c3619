/*
 * catalogue_file.h — the catalogue on disk, for a start without PostgreSQL
 *
 * Shape:  one JSON object: format, checksum, ads, salts. Written beside its place, synced and
 *         renamed over it, so that a crash leaves the old file or the new one; the checksum tells
 *         a file that was damaged later.
 * Errors: ERROR_INVALID for a file that is not such an object, ERROR_UNAVAILABLE for a file system
 *         that refuses; a file that is not there at all is ERROR_NONE's NULL.
 * Limits: CATALOGUE_FILE_MAX bytes. The file is readable by its owner alone: it holds the salts.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

struct catalogue_snapshot;

enum { CATALOGUE_FILE_MAX = 256 * 1024 * 1024, CATALOGUE_FILE_STALE_S = 600 };

/* NULL with err->kind ERROR_NONE: there is no file. The caller owns the reference. */
struct catalogue_snapshot *catalogue_file_load(const char *path, size_t ads_max, struct error *err);
/* Removes what saves that were killed have left beside it. Another gateway may share the path, so
 * only what is older than CATALOGUE_FILE_STALE_S. */
void catalogue_file_sweep(const char *path);
MUST_CHECK bool catalogue_file_save(const char *path, const struct catalogue_snapshot *snapshot,
                                    struct error *err);
