/*
 * publisher.h — a batch is published until the stream has it, or its time is up
 *
 * Why:     only an ack of the right stream with seq > 0 is proof. Until then the same bytes are
 *          sent again; ingest takes a batch once, however often it arrives.
 * Shape:   one per loop thread. Each try replies to "<inbox>.<token>"; the token names a slot and
 *          its generation, so that a late ack never settles a newer batch.
 *
 *            SENT --ack--> stored
 *             | silence for try_ms, or connected again: the same Nats-Msg-Id
 *             | refused: after REFUSED_WAIT_MS, k + 1 (a refused id is not to be trusted again)
 *             | refused as full, or the batch's deadline: unavailable, its number is burnt
 *
 * Units:   monotonic milliseconds, passed in.
 * Limits:  slots_max batches at a time; batch->deadline_ms ends each.
 * Threads: one loop thread.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct nats_loop;
struct publisher;

typedef void (*publish_done_fn)(void *ctx, struct batch *batch, enum batch_outcome outcome);

struct publisher_options {
    const uint8_t *gateway_id; /* 16 bytes; borrowed */
    uint32_t thread;
    size_t slots_max;
    int64_t try_ms;
    int64_t lost_ms; /* after so long without a connection publisher_is_lost says true */
    void (*on_stream_missing)(void *ctx); /* nobody listens on a subject; called on the loop */
    void *ctx;
};

struct publisher *publisher_new(const struct publisher_options *options, struct nats_loop *nats,
                                struct error *err);
void publisher_free(struct publisher **publisher);

/* Who gets the settled batches back. Never called from within publisher_send. */
void publisher_on_done(struct publisher *self, publish_done_fn on_done, void *ctx);

bool publisher_is_up(const struct publisher *self);
bool publisher_is_lost(const struct publisher *self);

/* Takes the batch until it is settled; its deadline_ms and number are set. */
void publisher_send(struct publisher *self, struct batch *batch, int64_t now_ms);

/* Sends again what is due and gives up what is late. */
void publisher_tick(struct publisher *self, int64_t now_ms);

/* Gives up every batch: the process ends. */
void publisher_abandon(struct publisher *self);

/* What the connection says. */
void publisher_connected(struct publisher *self, int64_t now_ms);
void publisher_disconnected(struct publisher *self, int64_t now_ms);
void publisher_replied(struct publisher *self, const char *token, const char *bytes,
                       size_t size_bytes, int64_t now_ms);
void publisher_unheard(struct publisher *self);
