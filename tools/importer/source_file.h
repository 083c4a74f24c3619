/*
 * source_file.h — a file of JSON lines: fallback_clicks.jsonl, or corrected rejects
 *
 * Why:    the tracker may still write to it: what was there when the file was opened is what both
 *         passes read.
 * Limits: JSON_RECORD_MAX bytes a line; a longer one is one unreadable record.
 */
#pragma once

#include "source.h"

struct lines;

struct lines *lines_open(const char *path, struct error *err);
void lines_close(struct lines **lines);
const char *lines_name(const struct lines *lines); /* the path's last part */

/* source.read over a struct lines. Blank lines do not count. */
bool lines_read(void *lines, item_fn each, void *ctx, struct error *err);
