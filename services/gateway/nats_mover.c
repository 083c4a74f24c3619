#include "nats_mover.h"

#include "base/auto.h"
#include "nats_attempts.h"
#include "stopper.h"

#include <stdlib.h>

enum { LOOK_MS = 60000 };

struct nats_mover {
    struct nats_mover_options options;
    struct nats_attempts *attempts;
    struct stopper holder; /* stopped: the loop has let go of the connection */
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

static bool may_leave(void *ctx, struct error *err)
{
    const struct nats_mover *self = ctx;

    return !is_up(self) || probe(self, err);
}

static void on_end(void *ctx)
{
    struct nats_mover *self = ctx;

    self->options.on_may_leave(self->options.loop);
    while (stopper_wait(&self->holder, LOOK_MS))
        continue;
    natsConnection_Close(self->options.connection);
}

struct nats_mover *nats_mover_open(const struct nats_mover_options *options, struct error *err)
{
    struct nats_mover *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "nats: no memory to move");
        return NULL;
    }
    self->options = *options;
    stopper_init(&self->holder);
    self->attempts = nats_attempts_open(&(struct nats_attempts_options){.event = "nats_move_waits",
                                                                        .name = options->bus.name,
                                                                        .attempt = may_leave,
                                                                        .on_end = on_end,
                                                                        .ctx = self},
                                        err);
    if (self->attempts == NULL)
        nats_mover_close(&self);
    return self;
}

void nats_mover_hurry(struct nats_mover *mover)
{
    nats_attempts_hurry(mover->attempts);
}

void nats_mover_let_close(struct nats_mover *mover)
{
    stopper_stop(&mover->holder);
}

void nats_mover_close(struct nats_mover **mover)
{
    struct nats_mover *self = TAKE(*mover);

    if (self == NULL)
        return;
    stopper_stop(&self->holder);
    nats_attempts_close(&self->attempts);
    stopper_free(&self->holder);
    free(self);
}
