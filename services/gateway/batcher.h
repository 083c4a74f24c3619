/*
 * batcher.h — group commit: the events of one turn of the loop become one message
 *
 * Why:     one synced write of the stream carries hundreds of events, and a lone event still goes
 *          out at once: nothing waits for a timer.
 * Shape:   a lane per partition, with a ledger of its numbers. An event joins the lane's growing
 *          batch; at the end of the turn the lane sends while fewer than inflight_max of its
 *          batches wait for an ack. A full batch is closed and queued. While the stream is away,
 *          LANE_KEEPING_MAX batches at a time go to the keeper instead, and the next one grows, for
 *          KEEP_LINGER_MS at least: each will be one synced message of the stream again.
 *
 *            batcher_add -> growing -> queue -> publisher ----stored----> settle -> batch_tell
 *                                        |         | late, refused, cut     ^
 *                                        \-- away, waited --> keeper -------/
 *
 *          A batch gets its number when it is first handed to either, so that one that never was
 *          burns none. Heartbeats tell the readers what the ledger knows when no event does, and
 *          try a stream that was away when no event tries it.
 * Errors:  an event that finds its lane's queue full is refused: shed it (503 overloaded).
 * Limits:  queue_bytes of closed batches a lane; stream_ms for the stream, verdict_ms for all.
 * Units:   now_ms is monotonic, at_ms Unix milliseconds; both are passed in.
 * Threads: one loop thread.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct batcher;
struct keeper;
struct publisher;

enum {
    LANE_KEEPING_MAX = 2, /* batches a lane at the keeper; those whose time runs out do not wait */
    KEEP_LINGER_MS = 10,  /* a batch that is not full grows so long before it is kept */
    HEARTBEAT_MS = 10000, /* a lane that has news has told something within this */
    /* Twice as long after each heartbeat that is not stored, up to this, until anything is: what is
     * refused burns a number, and some 120 of them, each between kept batches, fill the ledger. */
    HEARTBEAT_MAX_MS = 3600000,
    HEARTBEAT_RETRY_MS = 1000, /* when none could be sent, and for a trial */
};

struct batcher_options {
    const uint8_t *gateway_id; /* 16 bytes, this life of the process; borrowed */
    uint32_t thread;
    uint32_t partitions;
    size_t inflight_max; /* batches a lane that wait for their ack */
    size_t batch_bytes;  /* of encoded events */
    size_t queue_bytes;
    int64_t stream_ms;  /* from a batch's first turn: then it is handed on */
    int64_t verdict_ms; /* from a batch's first turn to its verdict */
};

/* Takes over the settled batches of both. */
struct batcher *batcher_new(const struct batcher_options *options, struct publisher *publisher,
                            struct keeper *keeper, struct error *err);
/* After keeper_close. Whoever still waits is told BATCH_UNAVAILABLE. */
void batcher_free(struct batcher **batcher);

/* ERROR_LIMIT: the lane is full. The ticket is borrowed until it is settled or forgotten. */
MUST_CHECK bool batcher_add(struct batcher *self, const struct event *event, struct ticket *ticket,
                            struct error *err);

/* The end of a turn: sends what may be sent. */
void batcher_flush(struct batcher *self, int64_t now_ms, int64_t at_ms);

/* Hands on what nobody could send in time, and sends heartbeats. Call it some ten times a second.
 */
void batcher_tick(struct batcher *self, int64_t now_ms, int64_t at_ms);

/* The process ends, and no more events come: every lane with news tells them now. */
void batcher_farewell(struct batcher *self, int64_t now_ms, int64_t at_ms);
/* The process ends now: all that waits, here or for an ack, goes to the keeper. */
void batcher_hand_over(struct batcher *self, int64_t now_ms, int64_t at_ms);

/* The connection is new: the server takes messages up to payload_max bytes. */
void batcher_set_payload_max(struct batcher *self, size_t payload_max);

bool batcher_is_idle(const struct batcher *self); /* nobody waits for a verdict */
size_t batcher_queued_bytes(const struct batcher *self);
size_t batcher_ranges(const struct batcher *self); /* of all lanes, that wait to be told */
