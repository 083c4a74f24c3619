#include "nats_dialer.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "stopper.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { DIAL_BASE_MS = 50, DIAL_CAP_MS = 1000 };

struct nats_dialer {
    struct nats_dialer_options options;
    pthread_t thread;
    struct stopper stopper;
};

static bool connect_once(struct nats_dialer *self, struct error *err);

static void *on_thread(void *ctx)
{
    struct nats_dialer *self = ctx;
    struct error err = {0}, last = {0};
    struct backoff backoff;

    backoff_init(&backoff, DIAL_BASE_MS, DIAL_CAP_MS, (uint64_t)clock_now_us());
    while (!connect_once(self, &err)) {
        if (strcmp(err.text, last.text) != 0)
            log_warn("nats_connect_failed", "why=\"%s\"", err.text);
        last = err;
        if (!stopper_wait(&self->stopper, backoff_next_ms(&backoff)))
            break;
    }
    nats_ReleaseThreadMemory();
    return NULL;
}

struct nats_dialer *nats_dialer_open(const struct nats_dialer_options *options, struct error *err)
{
    struct nats_dialer *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "nats: no memory to dial");
        return NULL;
    }
    self->options = *options;
    stopper_init(&self->stopper);
    if (pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        (void)error_set(err, ERROR_LIMIT, "nats: no thread to dial");
        stopper_free(&self->stopper);
        free(self);
        return NULL;
    }
    return self;
}

void nats_dialer_close(struct nats_dialer **dialer)
{
    struct nats_dialer *self = *dialer;

    if (self == NULL)
        return;
    stopper_stop(&self->stopper);
    pthread_join(self->thread, NULL);
    stopper_free(&self->stopper);
    free(self);
    *dialer = NULL;
}

static bool set_callbacks(natsOptions *nats, const struct nats_dialer_options *options,
                          struct error *err)
{
    natsStatus status = natsOptions_SetEventLoop(nats, options->loop, options->attach,
                                                 options->read, options->write, options->detach);

    if (status == NATS_OK)
        status = natsOptions_SetDisconnectedCB(nats, options->disconnected, options->loop);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectedCB(nats, options->reconnected, options->loop);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(nats, options->closed, options->loop);
    return status == NATS_OK ||
           error_set(err, ERROR_INTERNAL, "nats: options: %s", natsStatus_GetText(status));
}

static bool connect_once(struct nats_dialer *self, struct error *err)
{
    uint64_t version = 0;
    natsOptions *nats = bus_options_new(&self->options.bus, &version, err);
    natsConnection *connection = NULL;
    natsStatus status = NATS_OK;
    bool is_set = nats != NULL && set_callbacks(nats, &self->options, err);

    if (is_set)
        status = natsConnection_Connect(&connection, nats);
    natsOptions_Destroy(nats);
    if (!is_set)
        return false;
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "nats: connect: %s", bus_status_text(status));
    self->options.on_dialed(self->options.loop, connection, version);
    return true;
}
