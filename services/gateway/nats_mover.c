#include "nats_mover.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "stopper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_BASE_MS = 50, PROBE_CAP_MS = 1000 };

struct nats_mover {
    struct nats_mover_options options;
    pthread_t thread;
    struct stopper stopper;
};

static bool is_up(const struct nats_mover *self)
{
    return natsConnection_Status(self->options.connection) == NATS_CONN_STATUS_CONNECTED;
}

/* A connection that is made and closed again: it would be let in. */
static bool probe(const struct nats_mover *self, struct error *err)
{
    natsOptions *nats = bus_options_new(&self->options.bus, NULL, err);
    natsConnection *connection = NULL;
    natsStatus status;

    if (nats == NULL)
        return false;
    status = natsConnection_Connect(&connection, nats);
    natsConnection_Destroy(connection);
    natsOptions_Destroy(nats);
    return status == NATS_OK ||
           error_set(err, ERROR_UNAVAILABLE, "nats: connect: %s", bus_status_text(status));
}

static void *on_thread(void *ctx)
{
    struct nats_mover *self = ctx;
    struct error err = {0}, last = {0};
    struct backoff backoff;

    backoff_init(&backoff, PROBE_BASE_MS, PROBE_CAP_MS, (uint64_t)clock_now_us());
    while (is_up(self) && !probe(self, &err)) {
        if (strcmp(err.text, last.text) != 0)
            log_warn("nats_move_waits", "name=\"%s\" why=\"%s\"", self->options.bus.name, err.text);
        last = err;
        if (!stopper_wait(&self->stopper, backoff_next_ms(&backoff)))
            break;
    }
    if (!is_up(self))
        natsConnection_Close(self->options.connection);
    self->options.on_left(self->options.loop);
    nats_ReleaseThreadMemory();
    return NULL;
}

struct nats_mover *nats_mover_open(const struct nats_mover_options *options, struct error *err)
{
    struct nats_mover *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "nats: no memory to move");
        return NULL;
    }
    self->options = *options;
    stopper_init(&self->stopper);
    if (pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        (void)error_set(err, ERROR_LIMIT, "nats: no thread to move");
        stopper_free(&self->stopper);
        free(self);
        return NULL;
    }
    return self;
}

void nats_mover_hurry(struct nats_mover *mover)
{
    stopper_stop(&mover->stopper);
}

void nats_mover_close(struct nats_mover **mover)
{
    struct nats_mover *self = TAKE(*mover);

    if (self == NULL)
        return;
    stopper_stop(&self->stopper);
    pthread_join(self->thread, NULL);
    stopper_free(&self->stopper);
    free(self);
}
