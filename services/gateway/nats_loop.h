/*
 * nats_loop.h — one connection to NATS on the loop of one thread
 *
 * Why:     publish, ack and answer happen on the thread that owns the request: no lock and no
 *          hand-over for an event.
 * Shape:   libnats closes its own socket, so h2o watches a dup() of it. A dialer thread makes the
 *          first connection (libnats connects blocking) and a new one whenever libnats has closed
 *          the old for good; in between libnats reconnects by itself, for ever. What libnats'
 *          threads report is put into a mailbox and read at the end of a turn. When the endpoint
 *          has changed, a mover tells when the connection may be left, and closes it; then the
 *          dialer makes the next, there. To the owner that is a loss of the connection like any
 *          other.
 *
 *            mover ────LEAVE──┐
 *            dialer ──DIALED──┤                     ┌─ on_up, on_down
 *            reconnect thread ┼─ATTACH, WRITE──► nats_loop_turn
 *            callback thread ─┘ UP, DOWN, CLOSED    └─ socket reads and writes
 *
 *          libnats holds its lock while it tries to reconnect: what takes that lock is asked on its
 *          threads, or of a connection whose socket is watched, and comes by mail.
 *          Writes are coalesced: a publish only fills libnats' buffer, nats_loop_flush sends it.
 *          With TLS libnats reads and writes only what its session can take: nats_tls.h.
 * Errors:  ERROR_UNAVAILABLE: not connected, or the server does not read; ERROR_INVALID: the
 *          server will never take this message.
 * Limits:  buffer_max_bytes wait for a server that does not read.
 * Threads: every function on the loop's thread.
 */
#pragma once

#include "base/error.h"
#include "clients/bus.h"
#include <h2o.h>
#include <stddef.h>
#include <stdint.h>

struct nats_loop;

/* Called on the loop's thread. */
struct nats_loop_events {
    void *ctx;
    void (*on_up)(void *ctx, size_t payload_max); /* subscribed; publishing may start */
    void (*on_down)(void *ctx);                   /* replies of what is under way are lost */
    void (*on_reply)(void *ctx, const char *token, const char *bytes, size_t size_bytes);
    void (*on_leader)(void *ctx);  /* a cluster has elected the leader of a stream of events */
    void (*on_unheard)(void *ctx); /* the server knows nobody who listens to a publish */
};

struct nats_loop_options {
    struct bus_options bus; /* its texts are borrowed until nats_loop_close */
    h2o_context_t *h2o;     /* borrowed */
    size_t buffer_max_bytes;
    struct nats_loop_events events;
};

/* All borrowed until nats_loop_publish returns. */
struct nats_message {
    const char *subject;
    const char *token; /* what on_reply gets */
    const char *message_id;
    const uint8_t *bytes;
    size_t size_bytes;
};

/* Starts dialing; on_up tells when there is a connection. */
struct nats_loop *nats_loop_open(const struct nats_loop_options *options, struct error *err);
void nats_loop_close(struct nats_loop **nats);

MUST_CHECK bool nats_loop_publish(struct nats_loop *self, const struct nats_message *message,
                                  struct error *err);

/* Once a turn of the loop: reads the mailbox. */
void nats_loop_turn(struct nats_loop *self);
/* Once a turn of the loop, after everything was published: sends it. */
void nats_loop_flush(struct nats_loop *self);
