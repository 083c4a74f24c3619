/*
 * bus_inbox.h — a subscription to answers, which may end while its connection goes on
 *
 * Why:     libnats before 3.10 delivers to a subscription without holding it: one that another
 *          thread frees at that moment is memory of somebody else's, written to. Here it is freed
 *          when the connection's reading thread has been seen beyond it, or with the bus.
 * Threads: an inbox belongs to one thread; its bus may be shared.
 */
#pragma once

#include "clients/bus.h"

struct bus_inbox {
    struct bus *bus;            /* borrowed; NULL: there is no inbox */
    natsConnection *connection; /* what it is on, which need not be the bus's any more */
    natsSubscription *subscription;
};

/* Subscribes on the bus's connection of now. Not NATS_OK: *out is no inbox. */
natsStatus bus_inbox_open(struct bus_inbox *out, struct bus *bus, const char *subject);
/* Nothing comes any more; waits for the server at most 100 ms. Does nothing to no inbox. */
void bus_inbox_close(struct bus_inbox *inbox);
