/*
 * nats_mover.h — leaves a connection to NATS for another, on a thread of its own
 *
 * Why:     an address or password that is wrong, or not valid yet, must not cost a loop the
 *          connection that works. And to close one may wait: for a try of libnats' own to
 *          reconnect, or half a second for a server that does not read what is unsent.
 * Shape:   lives from the endpoint's change until the connection is closed. It may be left when the
 *          endpoint as it is by then takes a connection, or the old one is down anyway. libnats
 *          must not be closed under a loop that reads from it: the loop lets go of it in between.
 *
 *            mover   tries ... on_may_leave            closes the connection
 *            loop                  └─► lets go ── let_close ─┘   └─► libnats reports it closed
 *
 * Errors:  only opening can fail; a try that failed is logged, once per kind of failure.
 * Threads: open, hurry, let_close and close on one thread; on_may_leave is called on the mover's.
 */
#pragma once

#include "base/error.h"
#include "clients/bus.h"

struct nats_mover;

struct nats_mover_options {
    struct bus_options bus;     /* its texts are borrowed until nats_mover_close */
    natsConnection *connection; /* the one to leave; borrowed likewise */
    void *loop;
    void (*on_may_leave)(void *loop);
};

struct nats_mover *nats_mover_open(const struct nats_mover_options *options, struct error *err);
/* The old connection has gone: nothing is to be waited for. */
void nats_mover_hurry(struct nats_mover *mover);
/* Nobody reads from the connection any more, nor writes to it. */
void nats_mover_let_close(struct nats_mover *mover);
/* Waits for a try that is under way, and until the connection is closed: no time, once
 * on_may_leave was called and the connection was reported closed. */
void nats_mover_close(struct nats_mover **mover);
