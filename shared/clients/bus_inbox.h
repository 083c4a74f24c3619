/*
 * bus_inbox.h — a subscription to answers, which may end while its connection goes on
 *
 * Why:     libnats before 3.6.1 delivers to a subscription without holding it: one that another
 *          thread frees at that moment is memory of somebody else's, written to. An ended one is
 *          therefore freed when somebody asks the bus for its connection BUS_ENDED_MS later, or
 *          ends another; a delivery that began before is long over.
 * Errors:  ERROR_UNAVAILABLE: there is no connection that takes a subscription.
 * Memory:  the messages that nobody has read are freed at once, unless the connection is closed.
 * Limits:  BUS_ENDED_MAX are kept; where there is no room for another, its owner waits until there
 *          is, BUS_ENDED_MS at most.
 * Threads: an inbox belongs to one thread; its bus may be shared.
 */
#pragma once

#include "clients/bus.h"
#include <pthread.h>

enum { BUS_ENDED_MAX = 1024, BUS_ENDED_MS = 1000 };

struct bus_inbox {
    struct bus *bus;            /* borrowed; NULL: there is no inbox */
    natsConnection *connection; /* what it is on, which need not be the bus's any more */
    natsSubscription *subscription;
};

/* Subscribes on the bus's connection of now. False: *out is no inbox. */
MUST_CHECK bool bus_inbox_open(struct bus *bus, const char *subject, struct bus_inbox *out,
                               struct error *err);
/* Nothing comes any more. Does nothing to no inbox. */
void bus_inbox_close(struct bus_inbox *inbox);

/* The ended subscriptions of a bus, a ring: for bus.c. */
struct bus_ended {
    pthread_mutex_t lock;
    struct {
        natsSubscription *subscription;
        int64_t free_at_ms; /* on clock_now_ms */
    } ring[BUS_ENDED_MAX];
    uint64_t added, freed;
};

void bus_ended_init(struct bus_ended *ended);
void bus_ended_sweep(struct bus_ended *ended); /* frees those whose time has come */
void bus_ended_end(struct bus_ended *ended);   /* frees all; the connections are closed */
