/*
 * bus_watch.h — what libnats told last of a connection
 *
 * Why:     libnats holds a connection's lock while it connects again, so whoever asks it for the
 *          state may wait as long as a frozen server takes. Its callbacks write the state down
 *          here, and reading it waits for nobody.
 * Memory:  counted: one reference is the maker's, one the connection's until it is closed for good.
 * Threads: libnats' callback thread writes, any may read.
 */
#pragma once

#include <nats/nats.h>
#include <stdint.h>

struct bus_watch;

enum bus_state { BUS_UP, BUS_DOWN, BUS_CLOSED /* for good */ };

/* For a connection that is about to be made with options; it counts as up. NULL: no memory. */
struct bus_watch *bus_watch_new(natsOptions *options);
/* There will be no connection: gives its reference back. */
void bus_watch_abandon(struct bus_watch *watch);
void bus_watch_drop(struct bus_watch **watch);

enum bus_state bus_watch_state(const struct bus_watch *watch);
uint64_t bus_watch_changes(const struct bus_watch *watch); /* losses and returns */
