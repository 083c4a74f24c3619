/*
 * control.h — what the gateway does beside its loops: streams and readiness
 *
 * Why:     making a stream blocks, so a plain thread does it: at start, and again when a publish
 *          has found none. The same thread says when the gateway is ready: events can be kept (on
 *          the streams, over every loop's connection, or after STREAM_WAIT_MS in the spool) and the
 *          ads are known or waited for long enough.
 * Errors:  only opening can fail; what the thread cannot do it logs once and tries again.
 * Threads: open and close on one thread, the rest from any.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>

struct control;
struct gateway;

/* gateway is borrowed until control_close. */
struct control *control_open(struct gateway *gateway, struct error *err);
void control_close(struct control **control);

/* A publish found no stream. */
void control_stream_missing(struct control *self);
bool control_has_streams(const struct control *self);
