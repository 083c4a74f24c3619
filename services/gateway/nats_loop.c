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
    struct nats_mover *mover;         /* owned; NULL but while the connection is being left */
    natsConnection *connection;       /* owned; NULL while dialing */
    uint64_t version;                 /* of the endpoint, that the connection was made with */
    natsSubscription *replies;        /* owned: <inbox>.* */
    natsSubscription *elections;      /* owned: ELECTIONS.* */
    char inbox[INBOX_MAX];
    char replies_subject[INBOX_MAX + 2];
    struct nats_socket socket;
    bool is_up;
    /* What has come of the connection that is being left: with both it has ended. */
    bool is_let_go;
    bool is_closed; /* for good */
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
static void on_dialed(void *ctx, const struct mail *mail);
static void on_may_leave(void *ctx);

/* On the loop. */
static void take_mail(struct nats_loop *self, const struct mail *mail);
static void take_change(struct nats_loop *self, const struct mail *mail);
static void take_dialed(struct nats_loop *self, const struct mail *mail);
static void start_connection(struct nats_loop *self, const struct mail *mail);
static void leave(struct nats_loop *self);
static void let_go(struct nats_loop *self);
static void take_closed(struct nats_loop *self);
static void set_up(struct nats_loop *self, size_t payload_max);
static void set_down(struct nats_loop *self);
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
        .replies = self->replies_subject,
        .elections = ELECTIONS ".*",
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
    (void)snprintf(self->replies_subject, sizeof(self->replies_subject), "%s.*", self->inbox);
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
            take_dialed(self, &mail);
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
    report(closure,
           &(struct mail){.kind = MAIL_UP,
                          .connection = connection,
                          .payload_max = (size_t)natsConnection_GetMaxPayload(connection)});
}

static void on_closed(natsConnection *connection, void *closure)
{
    report(closure, &(struct mail){.kind = MAIL_CLOSED, .connection = connection});
}

static void on_dialed(void *ctx, const struct mail *mail)
{
    report(ctx, mail);
}

static void on_may_leave(void *ctx)
{
    report(ctx, &(struct mail){.kind = MAIL_LEAVE});
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
        take_change(self, mail);
        return;
    case MAIL_CLOSED:
        take_closed(self);
        return;
    case MAIL_LEAVE:
        let_go(self);
        return;
    }
}

/* Reports of one connection come in order, and are believed: to ask libnats for its state would be
 * to wait for its try to reconnect, whose lock it holds meanwhile. */
static void take_change(struct nats_loop *self, const struct mail *mail)
{
    if (self->connection == NULL)
        self->is_down_early = mail->kind == MAIL_DOWN; /* the dialer is about to hand it over */
    else if (mail->kind == MAIL_DOWN)
        set_down(self);
    else if (!self->is_let_go)
        set_up(self, mail->payload_max);
}

static void take_dialed(struct nats_loop *self, const struct mail *mail)
{
    self->connection = mail->connection;
    self->replies = mail->replies;
    self->elections = mail->elections;
    self->version = mail->version;
}

static void start_connection(struct nats_loop *self, const struct mail *mail)
{
    nats_dialer_close(&self->dialer);
    take_dialed(self, mail);
    self->socket.connection = self->connection;
    if (self->was_closed_early)
        end_connection(self);
    else if (!self->is_down_early && self->elections != NULL)
        set_up(self, mail->payload_max);
}

static void leave(struct nats_loop *self)
{
    const struct nats_mover_options options = {.bus = self->options.bus,
                                               .connection = self->connection,
                                               .loop = self,
                                               .on_may_leave = on_may_leave};
    struct error err;

    self->mover = nats_mover_open(&options, &err);
    if (self->mover == NULL)
        log_warn("nats_move_failed", "why=\"%s\"", err.text); /* tried again next turn */
}

/* What the server takes at once is still sent; the owner hears of no more replies. */
static void let_go(struct nats_loop *self)
{
    if (self->is_closed) {
        end_connection(self);
        return;
    }
    self->is_let_go = true;
    nats_socket_flush(&self->socket);
    nats_socket_detach(&self->socket);
    self->socket.connection = NULL; /* libnats may be about to attach another */
    set_down(self);
    nats_mover_let_close(self->mover); /* MAIL_CLOSED dials anew */
}

static void take_closed(struct nats_loop *self)
{
    if (self->connection == NULL) {
        self->was_closed_early = true; /* the dialer is about to hand it over */
    } else if (self->mover != NULL && !self->is_let_go) {
        self->is_closed = true; /* MAIL_LEAVE follows */
        nats_socket_detach(&self->socket);
        set_down(self);
        nats_mover_hurry(self->mover);
    } else {
        end_connection(self);
    }
}

static void set_up(struct nats_loop *self, size_t payload_max)
{
    if (self->is_up)
        return;
    self->is_up = true;
    self->options.events.on_up(self->options.events.ctx, payload_max);
}

static void set_down(struct nats_loop *self)
{
    if (!self->is_up)
        return;
    self->is_up = false;
    self->options.events.on_down(self->options.events.ctx);
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
    nats_mover_close(&self->mover);
    nats_socket_detach(&self->socket);
    set_down(self);
    natsSubscription_Destroy(self->replies);
    natsSubscription_Destroy(self->elections);
    natsConnection_Destroy(self->connection);
    self->replies = NULL;
    self->elections = NULL;
    self->connection = NULL;
    self->socket.connection = NULL;
    self->is_down_early = false;
    self->was_closed_early = false;
    self->is_let_go = false;
    self->is_closed = false;
}
