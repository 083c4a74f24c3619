/*
 * nats_socket.h — the socket of a connection to NATS, on a loop
 *
 * Why:     tells libnats when to read and write, and when not to: with TLS it would wait within
 *          either for the rest of a record.
 * Shape:   embedded in struct nats_loop; h2o watches a dup() of libnats' descriptor.
 * Errors:  none: libnats reads them off the socket itself.
 * Memory:  owns the descriptor and the session from attach to detach.
 * Threads: the loop's.
 */
#pragma once

#include "mailbox.h"
#include <h2o.h>

struct nats_socket {
    h2o_socket_t *watched;      /* NULL: detached */
    SSL *tls;                   /* NULL: none */
    natsConnection *connection; /* borrowed; NULL: the dialer is about to hand it over */
    bool has_output;            /* libnats wants to write */
    bool awaits_writable;       /* h2o watches for room in the socket's buffer */
    const struct mailbox *mailbox;
    void (*on_read)(void *ctx); /* libnats has read; it may have detached the socket by now */
    void *ctx;
};

void nats_socket_attach(struct nats_socket *self, h2o_loop_t *loop, const struct mail *mail);
void nats_socket_detach(struct nats_socket *self);
bool nats_socket_is_attached(const struct nats_socket *self);
void nats_socket_drop(struct mail *mail); /* a MAIL_ATTACH that nobody takes */

/* Sends what libnats has buffered, as far as there is room. */
void nats_socket_flush(struct nats_socket *self);
size_t nats_socket_unsent(const struct nats_socket *self); /* bytes */
