/*
 * collector.h — the way of one loop thread's events to the stream
 *
 *   batcher (lanes) ──► publisher (tries, acks) ──► nats_loop (one connection)
 *                └────► keeper ──► spool, inbox (a thread each, of all loops)
 *
 * Why:     the parts know neither each other's neighbours nor a clock; this one turns the loop's
 *          turns and the connection's reports into calls with the time.
 * Threads: everything on the loop's thread; on_stream_missing likewise.
 */
#pragma once

#include "base/error.h"
#include "batcher.h"

struct collector;
struct keep_line;
struct server_thread;
struct settings;

struct collector_options {
    const struct settings *settings; /* borrowed */
    const uint8_t *gateway_id;       /* 16 bytes; borrowed */
    struct server_thread *thread;    /* borrowed */
    struct keep_line *spool, *inbox; /* borrowed until collector_close */
    void (*on_stream_missing)(void *ctx);
    void (*on_connected)(void *ctx, bool is_connected); /* the connection came or went */
    void *ctx;
};

struct collector *collector_open(const struct collector_options *options, struct error *err);
/* Hands over what waits, for at most KEEPER_CLOSE_MS. */
void collector_close(struct collector **collector);

struct batcher *collector_batcher(struct collector *self); /* borrowed */

/* The end of a turn of the loop. */
void collector_turn(struct collector *self);
/* The process ends and no request is open. False while there is something to wait for: a verdict,
 * or the ack of the last heartbeats, which the first call that finds no verdict due sends. */
bool collector_leave(struct collector *self);
bool collector_is_streaming(const struct collector *self); /* false: events are kept elsewhere */
size_t collector_queued_bytes(const struct collector *self);
size_t collector_ranges(const struct collector *self); /* of batch numbers, that wait to be told */
