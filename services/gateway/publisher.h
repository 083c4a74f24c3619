/*
 * publisher.h — a batch is published until the stream has it, or has had its time
 *
 * Why:     only an ack of the right stream with seq > 0 is proof. Until then the same bytes are
 *          sent again; ingest takes a batch once, however often it arrives. Whatever the stream
 *          does not take goes back with the reason, and is kept elsewhere.
 * Shape:   one per loop thread, behind a circuit breaker; a batch is one attempt. Each try replies
 *          to "<inbox>.<token>"; the token names a slot and its generation, so that a late ack
 *          never settles a newer batch.
 *
 *            SENT --ack--> stored
 *             | silence for try_ms: the same Nats-Msg-Id, paid from the breaker's retries
 *             | refused: after REFUSED_WAIT_MS, k + 1 (a refused id is not to be trusted again)
 *             | refused as full: refused     | batch->stream_until_ms: late
 *             | the connection went: cut     | larger than the server takes: impossible
 *
 *          Silence until the deadline counts as a connection failure, so that a frozen server
 *          opens the breaker after three batches, whatever went well just before.
 * Units:   monotonic milliseconds, passed in.
 * Limits:  slots_max batches at a time, fewer after the breaker has closed (its ramp);
 *          batch->stream_until_ms ends each.
 * Threads: one loop thread.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct nats_loop;
struct publisher;

enum publish_end {
    PUBLISH_STORED,
    PUBLISH_LATE,
    PUBLISH_REFUSED, /* explicitly, and once more would not help */
    PUBLISH_CUT,
    PUBLISH_IMPOSSIBLE, /* the server will never take it: nor will it from a replay */
};

typedef void (*publish_done_fn)(void *ctx, struct batch *batch, enum publish_end end,
                                int64_t now_ms);

/* What to do with a batch that is ready. */
enum publisher_answer {
    PUBLISHER_TAKES, /* publisher_send it now: a permit has been taken for it */
    PUBLISHER_WAITS, /* the stream is well, but has enough for the moment */
    PUBLISHER_IS_AWAY,
};

struct publisher_options {
    const uint8_t *gateway_id; /* 16 bytes; borrowed */
    uint32_t thread;
    size_t slots_max;
    int64_t try_ms;
    int64_t slow_ms;   /* an ack over this is slow for the breaker */
    int64_t permit_ms; /* a trial of the breaker without an end counts as failed after this */
    void (*on_stream_missing)(void *ctx); /* nobody listens on a subject; called on the loop */
    void *ctx;
};

struct publisher *publisher_new(const struct publisher_options *options, struct nats_loop *nats,
                                struct error *err);
void publisher_free(struct publisher **publisher);

/* Who gets the settled batches back. Never called from within publisher_send. */
void publisher_on_done(struct publisher *self, publish_done_fn on_done, void *ctx);

/* False: what comes now goes elsewhere, but for the breaker's trials. */
bool publisher_is_well(const struct publisher *self);

/* True: connected, and the breaker waits for somebody to try. */
bool publisher_wants_trial(const struct publisher *self);

/* has_place: the lane may have another batch under way. */
enum publisher_answer publisher_ask(struct publisher *self, bool has_place, int64_t now_ms);

/* Takes the batch until its end; its stream_until_ms and number are set. Only after
 * PUBLISHER_TAKES. */
void publisher_send(struct publisher *self, struct batch *batch, int64_t now_ms);

/* After PUBLISHER_TAKES: there is nothing to send after all. */
void publisher_decline(struct publisher *self, int64_t now_ms);

/* Sends again what is due and gives back what is late. */
void publisher_tick(struct publisher *self, int64_t now_ms);

/* Gives back every batch as cut: the process ends. */
void publisher_abandon(struct publisher *self, int64_t now_ms);

/* What the connection says. */
void publisher_connected(struct publisher *self, int64_t now_ms);
void publisher_disconnected(struct publisher *self, int64_t now_ms);
void publisher_replied(struct publisher *self, const char *token, const char *bytes,
                       size_t size_bytes, int64_t now_ms);
/* A stream has a leader again. Like a connection that comes back, it moves an open breaker on to
 * its trials; not before what was sent to no leader has ended, for that would fail the first. */
void publisher_elected(struct publisher *self, int64_t now_ms);
void publisher_unheard(struct publisher *self);
