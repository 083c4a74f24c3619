#include "nats_dialer.h"

#include "base/auto.h"
#include "nats_attempts.h"
#include "runtime/log.h"

#include <stdlib.h>

struct nats_dialer {
    struct nats_dialer_options options;
    struct nats_attempts *attempts;
};

static bool connect_once(void *ctx, struct error *err);

struct nats_dialer *nats_dialer_open(const struct nats_dialer_options *options, struct error *err)
{
    AUTO(nats_dialer_close) struct nats_dialer *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "nats: no memory to dial");
        return NULL;
    }
    self->options = *options;
    self->attempts =
        nats_attempts_open(&(struct nats_attempts_options){.event = "nats_connect_failed",
                                                           .name = options->bus.name,
                                                           .attempt = connect_once,
                                                           .ctx = self},
                           err);
    return self->attempts == NULL ? NULL : TAKE(self);
}

void nats_dialer_close(struct nats_dialer **dialer)
{
    struct nats_dialer *self = TAKE(*dialer);

    if (self == NULL)
        return;
    nats_attempts_close(&self->attempts);
    free(self);
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

static natsStatus subscribe(const struct nats_dialer_options *options, struct mail *mail)
{
    natsStatus status =
        natsConnection_SubscribeSync(&mail->replies, mail->connection, options->replies);

    if (status == NATS_OK) /* at most one reply for each try is ever under way */
        status = natsSubscription_SetPendingLimits(mail->replies, -1, -1);
    if (status == NATS_OK)
        status =
            natsConnection_SubscribeSync(&mail->elections, mail->connection, options->elections);
    return status;
}

/* Without its subscriptions it is handed over, too, since its reports come to the loop, but closed:
 * that dials anew. */
static void hand_over(const struct nats_dialer *self, natsConnection *connection, uint64_t version)
{
    struct mail mail = {.kind = MAIL_DIALED,
                        .connection = connection,
                        .version = version,
                        .payload_max = (size_t)natsConnection_GetMaxPayload(connection)};
    natsStatus status = subscribe(&self->options, &mail);

    if (status != NATS_OK) {
        log_warn("nats_subscribe_failed", "why=\"%s\"", natsStatus_GetText(status));
        natsConnection_Close(connection);
    }
    self->options.on_dialed(self->options.loop, &mail);
}

static bool connect_once(void *ctx, struct error *err)
{
    struct nats_dialer *self = ctx;
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
    hand_over(self, connection, version);
    return true;
}
