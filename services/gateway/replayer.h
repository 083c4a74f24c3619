/*
 * replayer.h — publishes what spool and inbox hold, when the stream is back
 *
 * Why:     what was answered 202 from another store must reach the stream: the same bytes, the old
 *          numbers, the same Nats-Msg-Id, so that ingest takes each batch once.
 * Shape:   a thread with a connection of its own (replay_wire.h) behind a breaker. A step tends the
 *          stores and gives each source one round: claim the oldest, publish, settle.
 *
 *            own spool, adopted spools, inbox --claim--> rows --publish--> fates --settle--> store
 *
 * Errors:  none: what cannot be done now is tried again. A store that cannot be claimed from or
 *          settled rests, longer each time, while the others go on. A stream that is full, not
 *          there, or silent has its partition left alone for REPLAY_BLOCKED_MS, then tried with one
 * batch. Limits:  events_per_s and batches_per_s; a round takes at most REPLAY_ROUND_ROWS rows and
 *          REPLAY_ROUND_BYTES. A stream that answers slowly has fewer batches under way
 *          (replay_window.h): live traffic comes first.
 * Threads: open and close on one thread; everything else is its own thread's.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct endpoint;
struct inbox;
struct replayer;
struct spool;

enum {
    REPLAY_ROUND_ROWS = 128,
    REPLAY_ROUND_BYTES = 4 << 20,
    REPLAY_IDLE_MS = 100, /* between two looks when there is nothing to do */
    REPLAY_BLOCKED_MS = 500,
    REPLAY_ACK_MS = 1500,
};

struct replayer_options {
    struct endpoint *nats; /* borrowed until replayer_close */
    struct spool *spool;   /* borrowed likewise; its tend, sources and report are the thread's */
    struct inbox *inbox;   /* borrowed likewise; its look and source are the thread's */
    int64_t events_per_s, batches_per_s;
    int queued_max_ms; /* that what is under way may stand in front of a live batch */
};

struct replayer *replayer_open(const struct replayer_options *options, struct error *err);
/* Ends after the round that is under way. */
void replayer_close(struct replayer **replayer);
