/*
 * stream_watch.h — how full the streams are, for the metrics
 *
 * Why:     a stream that fills up refuses, and a reader that stands still cannot tell how far
 *          behind it is: the gateway, which is always there, looks for both.
 * Shape:   one connection, kept, on which the gateway is discoverable; a look at all partitions
 *          every STREAM_WATCH_MS.
 * Errors:  none: the first stream that does not answer ends the look, and the gauges stay what they
 *          were; stream_seen_at_seconds tells how old they are.
 * Limits:  a step takes as long as one bus_open, or one request that nobody answers.
 * Threads: one.
 */
#pragma once

#include <stdint.h>

enum { STREAM_WATCH_MS = 2000 };

struct endpoint;
struct stream_watch;

/* nats is borrowed; max_bytes is what each stream may hold. NULL: no memory. */
struct stream_watch *stream_watch_new(struct endpoint *nats, uint32_t partition_count,
                                      int64_t max_bytes);
void stream_watch_close(struct stream_watch **watch);

/* Looks when it is time to. watch may be NULL: then it does nothing. */
void stream_watch_step(struct stream_watch *watch, int64_t now_ms, int64_t at_ms);
