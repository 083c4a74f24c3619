/*
 * nats_dialer.h — connects to NATS on a thread of its own, until it has worked
 *
 * Why:     libnats connects blocking, and a loop must not wait for a server; nor to subscribe, when
 *          the connection was lost meanwhile.
 * Shape:   lives from the wish for a connection to the connection. Tries for ever, with jitter.
 * Errors:  only opening can fail; a try that failed is logged, once per kind of failure.
 * Threads: open and close on one thread; on_dialed is called on the dialer's.
 */
#pragma once

#include "base/error.h"
#include "clients/bus.h"
#include "mailbox.h"

struct nats_dialer;

struct nats_dialer_options {
    struct bus_options bus;          /* its texts are borrowed until nats_dialer_close */
    const char *replies, *elections; /* the subjects to subscribe to; borrowed likewise */
    void *loop;                      /* for attach, and the closure of the three reports */
    natsEvLoop_Attach attach;
    natsEvLoop_ReadAddRemove read;
    natsEvLoop_WriteAddRemove write;
    natsEvLoop_Detach detach;
    natsConnectionHandler disconnected, reconnected, closed;
    /* Hands the connection over: a MAIL_DIALED. */
    void (*on_dialed)(void *loop, const struct mail *mail);
};

struct nats_dialer *nats_dialer_open(const struct nats_dialer_options *options, struct error *err);
/* Waits for a try that is under way: as long as a bus_open takes at most, and the subscribing. */
void nats_dialer_close(struct nats_dialer **dialer);
