/*
 * nats_mover.h — finds out, on its own thread, when a connection to NATS may be left for another
 *
 * Why:     an address or password that is wrong, or not valid yet, must not cost a loop the
 *          connection that works.
 * Shape:   lives from the endpoint's change until the connection may go: the endpoint as it is by
 *          then takes a connection, or the old one is down anyway. A connection that is down is
 *          closed here, since that may wait for a try of libnats' own; one that is up is the
 *          loop's to close, which reads from it.
 * Errors:  only opening can fail; a try that failed is logged, once per kind of failure.
 * Threads: open, hurry and close on one thread; on_left is called on the mover's, as its last act.
 */
#pragma once

#include "base/error.h"
#include "clients/bus.h"

struct nats_mover;

struct nats_mover_options {
    struct bus_options bus;     /* its texts are borrowed until nats_mover_close */
    natsConnection *connection; /* the one to leave; borrowed likewise */
    void *loop;
    void (*on_left)(void *loop);
};

struct nats_mover *nats_mover_open(const struct nats_mover_options *options, struct error *err);
/* The old connection has gone: nothing is to be waited for. */
void nats_mover_hurry(struct nats_mover *mover);
/* Waits for a try that is under way: after on_left there is none. */
void nats_mover_close(struct nats_mover **mover);
