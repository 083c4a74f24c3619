#include "clients/bus_watch.h"

#include <stdatomic.h>
#include <stdlib.h>

struct bus_watch {
    _Atomic int references;
    _Atomic int state; /* enum bus_state */
    _Atomic uint64_t changes;
};

static void release(struct bus_watch *watch)
{
    if (atomic_fetch_sub(&watch->references, 1) == 1)
        free(watch);
}

/* The state first: who sees the new count sees what it counts. */
static void change(struct bus_watch *watch, enum bus_state state)
{
    atomic_store(&watch->state, (int)state);
    atomic_fetch_add(&watch->changes, 1);
}

static void on_lost(natsConnection *connection, void *closure)
{
    (void)connection;
    change(closure, BUS_DOWN);
}

static void on_back(natsConnection *connection, void *closure)
{
    (void)connection;
    change(closure, BUS_UP);
}

/* libnats calls nothing of this connection afterwards. */
static void on_closed(natsConnection *connection, void *closure)
{
    (void)connection;
    change(closure, BUS_CLOSED);
    release(closure);
}

struct bus_watch *bus_watch_new(natsOptions *options)
{
    struct bus_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return NULL;
    atomic_init(&watch->references, 2);
    atomic_init(&watch->state, BUS_UP);
    if (natsOptions_SetDisconnectedCB(options, on_lost, watch) != NATS_OK ||
        natsOptions_SetReconnectedCB(options, on_back, watch) != NATS_OK ||
        natsOptions_SetClosedCB(options, on_closed, watch) != NATS_OK) {
        free(watch);
        return NULL;
    }
    return watch;
}

void bus_watch_abandon(struct bus_watch *watch)
{
    release(watch);
}

void bus_watch_drop(struct bus_watch **watch)
{
    if (*watch != NULL)
        release(*watch);
    *watch = NULL;
}

enum bus_state bus_watch_state(const struct bus_watch *watch)
{
    return (enum bus_state)atomic_load(&watch->state);
}

uint64_t bus_watch_changes(const struct bus_watch *watch)
{
    return atomic_load(&watch->changes);
}
