#include "nats_socket.h"

#include "clients/nats_tls.h"

#include <errno.h>
#include <unistd.h>

enum { RECORDS_MAX = 16 }; /* of TLS, a turn */

static void on_readable(h2o_socket_t *socket, const char *err);
static void read_records(struct nats_socket *self);
static void on_writable(h2o_socket_t *socket, const char *err);
static void write_output(struct nats_socket *self);
static void write_plain(struct nats_socket *self);
static bool write_records(struct nats_socket *self);

void nats_socket_attach(struct nats_socket *self, h2o_loop_t *loop, const struct mail *mail)
{
    nats_socket_detach(self);
    self->watched = h2o_evloop_socket_create(loop, mail->descriptor, H2O_SOCKET_FLAG_DONT_READ);
    self->watched->data = self;
    self->tls = mail->tls;
    h2o_socket_read_start(self->watched, on_readable);
    self->has_output = true; /* what libnats wrote before is still to be sent */
}

void nats_socket_detach(struct nats_socket *self)
{
    if (self->watched != NULL)
        h2o_socket_close(self->watched);
    nats_tls_free(&self->tls);
    self->watched = NULL;
    self->has_output = false;
    self->awaits_writable = false;
}

bool nats_socket_is_attached(const struct nats_socket *self)
{
    return self->watched != NULL;
}

void nats_socket_drop(struct mail *mail)
{
    nats_tls_free(&mail->tls);
    (void)close(mail->descriptor);
}

static void on_readable(h2o_socket_t *socket, const char *err)
{
    struct nats_socket *self = socket->data;

    (void)err; /* libnats reads the descriptor itself and finds out */
    if (self->connection == NULL)
        return; /* what is there to read stays */
    if (self->tls == NULL)
        natsConnection_ProcessReadEvent(self->connection);
    else
        read_records(self);
    self->on_read(self->ctx);
}

/* libnats reads one record in a call. What is left lies in the socket, so that h2o calls again; so
 * it does when there is mail, which may say that libnats is on another session by now. */
static void read_records(struct nats_socket *self)
{
    for (int i = 0; i < RECORDS_MAX && self->tls != NULL; i++) {
        if (mailbox_has_mail(self->mailbox) || !nats_tls_has_input(self->tls))
            return;
        errno = 0; /* libnats looks at it after an error of TLS, too */
        natsConnection_ProcessReadEvent(self->connection);
    }
}

void nats_socket_flush(struct nats_socket *self)
{
    if (self->has_output && !self->awaits_writable && self->watched != NULL &&
        self->connection != NULL)
        write_output(self);
}

static void on_writable(h2o_socket_t *socket, const char *err)
{
    struct nats_socket *self = socket->data;

    (void)err; /* libnats writes the descriptor itself and finds out */
    self->awaits_writable = false;
    if (self->connection != NULL)
        write_output(self);
}

static void write_output(struct nats_socket *self)
{
    bool is_sent = true;

    if (self->tls == NULL)
        write_plain(self);
    else
        is_sent = write_records(self);
    if ((self->has_output || !is_sent) && self->watched != NULL) {
        self->awaits_writable = true;
        h2o_socket_notify_write(self->watched, on_writable);
    }
}

/* To write nothing is a loss of the connection to libnats, and a wish to write may come by mail
 * when what it was for has gone. */
static void write_plain(struct nats_socket *self)
{
    if (natsConnection_Buffered(self->connection) > 0)
        natsConnection_ProcessWriteEvent(self->connection); /* has_output is off when all went */
    else
        self->has_output = false;
}

/* libnats writes no more before what it wrote last has gone; false: that has not. */
static bool write_records(struct nats_socket *self)
{
    if (!nats_tls_send(self->tls))
        return false;
    if (self->has_output && natsConnection_Buffered(self->connection) > 0)
        natsConnection_ProcessWriteEvent(self->connection); /* all of it, into memory */
    self->has_output = false;
    return self->tls == NULL || nats_tls_send(self->tls);
}

size_t nats_socket_unsent(const struct nats_socket *self)
{
    return (size_t)natsConnection_Buffered(self->connection) +
           (self->tls == NULL ? 0 : nats_tls_unsent(self->tls));
}
