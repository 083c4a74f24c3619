#include "nats_loop.h"

#include "base/auto.h"
#include "clients/endpoint.h"
#include "clients/nats_tls.h"
#include "mailbox.h"
#include "nats_dialer.h"
#include "nats_mover.h"
#include "nats_socket.h"
#include "runtime/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Then the name of the stream. */
#define ELECTIONS "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED"

enum { INBOX_MAX = 64, CLOSE_WAIT_MS = 2000 };

struct nats_loop {
    struct nats_loop_options options;
    pthread_t owner;
    struct mailbox mailbox;
    h2o_multithread_receiver_t waker; /* wakes the loop; carries no message */
    struct nats_dialer *dialer;       /* owned; NULL while there is a connection */
    struct nats_mover *mover;         /* owned; NULL but when the connection is to be left */
    natsConnection *connection;       /* owned; NULL while dialing */
    uint64_t version;                 /* of the endpoint, that the connection was made with */
    natsSubscription *replies;        /* owned: <inbox>.* */
    natsSubscription *elections;      /* owned: ELECTIONS.* */
    char inbox[INBOX_MAX];
    struct nats_socket socket;
    bool is_up;
    bool is_closed; /* for good, while the mover still looks at it */
    /* Of the coming connection, before the dialer handed it over. */
    bool is_down_early;
    bool was_closed_early; /* for good */
};

/* From libnats' threads to the loop; the definitions follow in this order. */
static natsStatus on_attach(void **user_data, void *loop, natsConnection *connection,
                            natsSock descriptor);
static natsStatus on_read_interest(void *user_data, bool add);
static natsStatus on_write_interest(void *user_data, bool add);
static natsStatus on_detach(void *user_data);
static void on_disconnected(natsConnection *connection, void *closure);
static void on_reconnected(natsConnection *connection, void *closure);
static void on_closed(natsConnection *connection, void *closure);
static void on_dialed(void *ctx, natsConnection *connection, uint64_t version);
static void on_left(void *ctx);

/* On the loop. */
static void take_mail(struct nats_loop *self, const struct mail *mail);
static void take_change(struct nats_loop *self, bool is_up);
static void start_connection(struct nats_loop *self, const struct mail *mail);
static void leave(struct nats_loop *self);
static void take_left(struct nats_loop *self);
static void take_closed(struct nats_loop *self);
static void set_up(struct nats_loop *self, bool is_up);
static void on_read(void *ctx);
static void read_replies(struct nats_loop *self);
static void read_elections(struct nats_loop *self);
static void hand_over(struct nats_loop *self, natsMsg *reply);
static void end_connection(struct nats_loop *self);

static void on_wake_up(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver; /* the end of this turn reads the mailbox; the waker carries no message */
    (void)messages;
}

static void on_mail(void *ctx)
{
    struct nats_loop *self = ctx;

    h2o_multithread_send_message(&self->waker, NULL);
}

static bool dial(struct nats_loop *self, struct error *err)
{
    const struct nats_dialer_options options = {
        .bus = self->options.bus,
        .loop = self,
        .attach = on_attach,
        .read = on_read_interest,
        .write = on_write_interest,
        .detach = on_detach,
        .disconnected = on_disconnected,
        .reconnected = on_reconnected,
        .closed = on_closed,
        .on_dialed = on_dialed,
    };

    self->dialer = nats_dialer_open(&options, err);
    return self->dialer != NULL;
}

struct nats_loop *nats_loop_open(const struct nats_loop_options *options, struct error *err)
{
    struct nats_loop *self = calloc(1, sizeof(*self));
    natsInbox *inbox = NULL;

    if (self == NULL || natsInbox_Create(&inbox) != NATS_OK) {
        free(self);
        (void)error_set(err, ERROR_LIMIT, "nats: no memory for a connection");
        return NULL;
    }
    (void)snprintf(self->inbox, sizeof(self->inbox), "%s", (const char *)inbox);
    natsInbox_Destroy(inbox);
    self->options = *options;
    self->owner = pthread_self();
    self->socket = (struct nats_socket){.mailbox = &self->mailbox, .on_read = on_read, .ctx = self};
    mailbox_init(&self->mailbox, on_mail, self);
    h2o_multithread_register_receiver(options->h2o->queue, &self->waker, on_wake_up);
    if (!dial(self, err))
        nats_loop_close(&self);
    return self;
}

/* libnats calls back until it has reported the connection closed: only then may self go. */
static void await_closed(struct nats_loop *self)
{
    struct mail mail;

    while (self->connection != NULL) {
        if (!mailbox_await(&self->mailbox, &mail, CLOSE_WAIT_MS)) {
            log_error("nats_close_stuck", "waited_ms=%d", CLOSE_WAIT_MS);
            return;
        }
        if (mail.kind == MAIL_ATTACH)
            nats_socket_drop(&mail);
        else if (mail.kind == MAIL_CLOSED)
            end_connection(self);
    }
}

void nats_loop_close(struct nats_loop **nats)
{
    struct nats_loop *self = *nats;
    struct mail mail;

    if (self == NULL)
        return;
    *nats = NULL;
    nats_dialer_close(&self->dialer); /* a connection that it made is in the mailbox now */
    while (self->connection == NULL && mailbox_take(&self->mailbox, &mail)) {
        if (mail.kind == MAIL_DIALED)
            self->connection = mail.connection;
        else if (mail.kind == MAIL_CLOSED)
            self->was_closed_early = true;
        else if (mail.kind == MAIL_ATTACH)
            nats_socket_drop(&mail);
    }
    nats_mover_close(&self->mover);
    if ((self->was_closed_early || self->is_closed) && self->connection != NULL)
        end_connection(self);
    if (self->connection != NULL)
        natsConnection_Close(self->connection);
    await_closed(self);
    if (self->connection != NULL)
        return; /* its callbacks may still come: rather a leak at exit than a use after free */
    h2o_multithread_unregister_receiver(self->options.h2o->queue, &self->waker);
    mailbox_free(&self->mailbox);
    free(self);
}

static bool is_on_loop(const struct nats_loop *self)
{
    return pthread_equal(pthread_self(), self->owner) != 0;
}

/* The dialer's thread at first, libnats' reconnect thread later; never the loop's. */
static natsStatus on_attach(void **user_data, void *loop, natsConnection *connection,
                            natsSock descriptor)
{
    struct nats_loop *self = loop;
    struct mail mail = {
        .kind = MAIL_ATTACH, .connection = connection, .descriptor = dup(descriptor)};

    *user_data = self;
    if (mail.descriptor < 0)
        return NATS_SYS_ERROR;
    if (nats_tls_take(descriptor, mail.descriptor, &mail.tls) && mailbox_put(&self->mailbox, &mail))
        return NATS_OK;
    nats_socket_drop(&mail);
    return NATS_NO_MEMORY;
}

static natsStatus on_read_interest(void *user_data, bool add)
{
    struct nats_loop *self = user_data;

    if (add)
        return NATS_OK; /* attach watches from its start */
    if (is_on_loop(self)) {
        nats_socket_detach(&self->socket);
        return NATS_OK;
    }
    return mailbox_put(&self->mailbox, &(struct mail){.kind = MAIL_DETACH}) ? NATS_OK
                                                                            : NATS_NO_MEMORY;
}

static natsStatus on_write_interest(void *user_data, bool add)
{
    struct nats_loop *self = user_data;

    if (is_on_loop(self)) {
        self->socket.has_output = add;
        return NATS_OK;
    }
    if (!add)
        return NATS_OK; /* detaching forgets it too */
    return mailbox_put(&self->mailbox, &(struct mail){.kind = MAIL_WRITE}) ? NATS_OK
                                                                           : NATS_NO_MEMORY;
}

static natsStatus on_detach(void *user_data)
{
    return on_read_interest(user_data, false);
}

/* A lost report would leave the loop waiting for ever, and only memory can lose it. */
static void report(struct nats_loop *self, const struct mail *mail)
{
    if (!mailbox_put(&self->mailbox, mail))
        log_error("nats_report_lost", "kind=%d", (int)mail->kind);
}

static void on_disconnected(natsConnection *connection, void *closure)
{
    report(closure, &(struct mail){.kind = MAIL_DOWN, .connection = connection});
}

static void on_reconnected(natsConnection *connection, void *closure)
{
    report(closure, &(struct mail){.kind = MAIL_UP, .connection = connection});
}

static void on_closed(natsConnection *connection, void *closure)
{
    report(closure, &(struct mail){.kind = MAIL_CLOSED, .connection = connection});
}

static void on_dialed(void *ctx, natsConnection *connection, uint64_t version)
{
    report(ctx, &(struct mail){.kind = MAIL_DIALED, .connection = connection, .version = version});
}

static void on_left(void *ctx)
{
    report(ctx, &(struct mail){.kind = MAIL_LEFT});
}

void nats_loop_turn(struct nats_loop *self)
{
    struct mail mail;
    struct error err;

    while (mailbox_take(&self->mailbox, &mail))
        take_mail(self, &mail);
    if (self->connection == NULL && self->dialer == NULL && !dial(self, &err))
        log_warn("nats_dial_failed", "why=\"%s\"", err.text); /* tried again next turn */
    if (self->connection != NULL && self->mover == NULL &&
        self->version != endpoint_version(self->options.bus.endpoint))
        leave(self);
}

static void take_mail(struct nats_loop *self, const struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_ATTACH:
        nats_socket_attach(&self->socket, self->options.h2o->loop, mail);
        return;
    case MAIL_DETACH:
        nats_socket_detach(&self->socket);
        return;
    case MAIL_WRITE:
        self->socket.has_output = true;
        return;
    case MAIL_DIALED:
        start_connection(self, mail);
        return;
    case MAIL_DOWN:
    case MAIL_UP:
        take_change(self, mail->kind == MAIL_UP);
        return;
    case MAIL_CLOSED:
        take_closed(self);
        return;
    case MAIL_LEFT:
        take_left(self);
        return;
    }
}

/* Reports of one connection come in order, and are believed: to ask libnats for its state would be
 * to wait for its try to reconnect, whose lock it holds meanwhile. */
static void take_change(struct nats_loop *self, bool is_up)
{
    if (self->connection == NULL)
        self->is_down_early = !is_up; /* the dialer is about to hand it over */
    else
        set_up(self, is_up);
}

static void start_connection(struct nats_loop *self, const struct mail *mail)
{
    natsConnection *connection = mail->connection;
    char wildcard[INBOX_MAX + 4];
    natsStatus status;

    nats_dialer_close(&self->dialer);
    self->connection = connection;
    self->socket.connection = connection;
    self->version = mail->version;
    if (self->was_closed_early) {
        end_connection(self);
        return;
    }
    (void)snprintf(wildcard, sizeof(wildcard), "%s.*", self->inbox);
    status = natsConnection_SubscribeSync(&self->replies, connection, wildcard);
    if (status == NATS_OK) /* at most one reply for each try is ever under way */
        status = natsSubscription_SetPendingLimits(self->replies, -1, -1);
    if (status == NATS_OK)
        status = natsConnection_SubscribeSync(&self->elections, connection, ELECTIONS ".*");
    if (status != NATS_OK) {
        log_warn("nats_subscribe_failed", "why=\"%s\"", natsStatus_GetText(status));
        natsConnection_Close(connection); /* MAIL_CLOSED dials anew */
        return;
    }
    set_up(self, !self->is_down_early);
}

static void leave(struct nats_loop *self)
{
    const struct nats_mover_options options = {
        .bus = self->options.bus, .connection = self->connection, .loop = self, .on_left = on_left};
    struct error err;

    self->mover = nats_mover_open(&options, &err);
    if (self->mover == NULL)
        log_warn("nats_move_failed", "why=\"%s\"", err.text); /* tried again next turn */
}

static void take_left(struct nats_loop *self)
{
    nats_mover_close(&self->mover);
    if (self->is_closed) {
        end_connection(self);
        return;
    }
    self->version = endpoint_version(self->options.bus.endpoint); /* it is left once */
    natsConnection_Close(self->connection);                       /* MAIL_CLOSED dials anew */
}

static void take_closed(struct nats_loop *self)
{
    if (self->connection == NULL) {
        self->was_closed_early = true; /* the dialer is about to hand it over */
    } else if (self->mover != NULL) {
        self->is_closed = true; /* MAIL_LEFT follows */
        nats_socket_detach(&self->socket);
        set_up(self, false);
        nats_mover_hurry(self->mover);
    } else {
        end_connection(self);
    }
}

static void set_up(struct nats_loop *self, bool is_up)
{
    const struct nats_loop_events *events = &self->options.events;

    if (is_up == self->is_up)
        return;
    self->is_up = is_up;
    if (is_up)
        events->on_up(events->ctx, (size_t)natsConnection_GetMaxPayload(self->connection));
    else
        events->on_down(events->ctx);
}

bool nats_loop_publish(struct nats_loop *self, const struct nats_message *message,
                       struct error *err)
{
    char reply[INBOX_MAX + 32];
    natsMsg *packed = NULL;
    natsStatus status;

    /* A loss detaches the socket first and is reported after: in between, libnats may hold its lock
     * for a try to reconnect. */
    if (!self->is_up || !nats_socket_is_attached(&self->socket))
        return error_set(err, ERROR_UNAVAILABLE, "nats: not connected");
    if (nats_socket_unsent(&self->socket) > self->options.buffer_max_bytes)
        return error_set(err, ERROR_UNAVAILABLE, "nats: the server does not read");
    (void)snprintf(reply, sizeof(reply), "%s.%s", self->inbox, message->token);
    status = natsMsg_Create(&packed, message->subject, reply, (const char *)message->bytes,
                            (int)message->size_bytes);
    if (status == NATS_OK)
        status = natsMsgHeader_Set(packed, "Nats-Msg-Id", message->message_id);
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(self->connection, packed);
    natsMsg_Destroy(packed);
    if (status == NATS_OK)
        return true;
    return error_set(err, status == NATS_MAX_PAYLOAD ? ERROR_INVALID : ERROR_UNAVAILABLE,
                     "nats: publish: %s", natsStatus_GetText(status));
}

static void on_read(void *ctx)
{
    read_replies(ctx);
    read_elections(ctx);
}

static void read_replies(struct nats_loop *self)
{
    uint64_t queued = 0;

    while (natsSubscription_QueuedMsgs(self->replies, &queued) == NATS_OK && queued > 0) {
        natsMsg *reply = NULL;
        natsStatus status = natsSubscription_NextMsg(&reply, self->replies, 0);

        if (status == NATS_NO_RESPONDERS)
            self->options.events.on_unheard(self->options.events.ctx);
        else if (status == NATS_OK)
            hand_over(self, reply);
        else
            return;
        natsMsg_Destroy(reply);
    }
}

static void hand_over(struct nats_loop *self, natsMsg *reply)
{
    const struct nats_loop_events *events = &self->options.events;
    const char *subject = natsMsg_GetSubject(reply);
    size_t inbox_size = strlen(self->inbox);

    /* The server sends nothing else to this subscription. */
    if (strncmp(subject, self->inbox, inbox_size) != 0 || subject[inbox_size] != '.')
        return;
    events->on_reply(events->ctx, subject + inbox_size + 1, natsMsg_GetData(reply),
                     (size_t)natsMsg_GetDataLength(reply));
}

static void read_elections(struct nats_loop *self)
{
    natsMsg *advisory = NULL;

    while (natsSubscription_NextMsg(&advisory, self->elections, 0) == NATS_OK) {
        const char *stream = natsMsg_GetSubject(advisory) + strlen(ELECTIONS ".");

        if (strncmp(stream, STREAM_PREFIX, strlen(STREAM_PREFIX)) == 0)
            self->options.events.on_leader(self->options.events.ctx);
        natsMsg_Destroy(advisory);
    }
}

void nats_loop_flush(struct nats_loop *self)
{
    nats_socket_flush(&self->socket);
}

static void end_connection(struct nats_loop *self)
{
    nats_socket_detach(&self->socket);
    set_up(self, false);
    natsSubscription_Destroy(self->replies);
    natsSubscription_Destroy(self->elections);
    natsConnection_Destroy(self->connection);
    self->replies = NULL;
    self->elections = NULL;
    self->connection = NULL;
    self->socket.connection = NULL;
    self->is_down_early = false;
    self->was_closed_early = false;
    self->is_closed = false;
}
