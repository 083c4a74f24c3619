/*
 * keep_lines.h — the second and the third line of keeping, and who empties them
 *
 * Why:     spool, inbox and replayer share their stores, so they are opened and closed as one, in
 *          the order that hands everything on: lines first, then the replayer, then the stores.
 * Errors:  opening fails for no memory, a thread that does not start, or an INSTANCE whose spool a
 *          living process uses. A disk or a server that is not there is waited for.
 * Threads: open and close on one thread; the lines as keep_line.h says; describe on any.
 */
#pragma once

#include "keep_line.h"

struct keep_lines;
struct service_component;
struct settings;

struct keep_lines *keep_lines_open(const struct settings *settings, struct error *err);
/* The loops have ended: nobody submits any more. */
void keep_lines_close(struct keep_lines **lines);

struct keep_line *keep_lines_spool(const struct keep_lines *self); /* borrowed */
struct keep_line *keep_lines_inbox(const struct keep_lines *self); /* borrowed */

/* The components `spool` and `inbox` of /health. */
struct service_component keep_lines_describe_spool(const struct keep_lines *self);
struct service_component keep_lines_describe_inbox(const struct keep_lines *self);
