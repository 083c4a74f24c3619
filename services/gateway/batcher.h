/*
 * batcher.h — group commit: the events of one turn of the loop become one message
 *
 * Why:     one synced write of the stream carries hundreds of events, and a lone event still goes
 *          out at once: nothing waits for a timer.
 * Shape:   a lane per partition. An event joins the lane's growing batch; at the end of the turn
 *          the lane sends while fewer than inflight_max of its batches wait for an ack. A full
 *          batch is closed and queued.
 *
 *            batcher_add -> growing -> queue -> publisher -> settle -> batch_tell
 *
 *          Numbers are dense from 1 per lane and are given at the first send, so that a batch that
 *          was never sent burns none.
 * Errors:  an event that finds its lane's queue full is refused: shed it (503 overloaded).
 * Limits:  queue_bytes of closed batches a lane; every batch is settled by its deadline_ms.
 * Units:   now_ms is monotonic, at_ms Unix milliseconds; both are passed in.
 * Threads: one loop thread.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct batcher;
struct publisher;

struct batcher_options {
    const uint8_t *gateway_id; /* 16 bytes, this life of the process; borrowed */
    uint32_t thread;
    uint32_t partitions;
    size_t inflight_max; /* batches a lane that wait for their ack */
    size_t batch_bytes;  /* of encoded events */
    size_t queue_bytes;
    int64_t deadline_ms; /* from a batch's first turn to its verdict */
};

/* Takes over the publisher's settled batches. */
struct batcher *batcher_new(const struct batcher_options *options, struct publisher *publisher,
                            struct error *err);
/* Whoever still waits is told BATCH_UNAVAILABLE. Close the publisher afterwards. */
void batcher_free(struct batcher **batcher);

/* ERROR_LIMIT: the lane is full. ERROR_UNAVAILABLE: the stream is out of reach for so long that
 * waiting is pointless. The ticket is borrowed until it is settled or forgotten. */
MUST_CHECK bool batcher_add(struct batcher *self, const struct event *event, struct ticket *ticket,
                            struct error *err);

/* The end of a turn: sends what may be sent. */
void batcher_flush(struct batcher *self, int64_t now_ms, int64_t at_ms);

/* Settles what nobody could send in time. Call it some ten times a second. */
void batcher_tick(struct batcher *self, int64_t now_ms);

/* The connection is new: the server takes messages up to payload_max bytes. */
void batcher_set_payload_max(struct batcher *self, size_t payload_max);

bool batcher_is_idle(const struct batcher *self);
size_t batcher_queued_bytes(const struct batcher *self);
