/*
 * nats_tls.h — TLS to NATS that waits for nobody
 *
 * Why:     libnats 3.4.1 shakes hands on a blocking socket without a deadline, and on a loop of
 *          another it polls within a read or a write until a record is whole or has gone: a server
 *          that freezes would hold the thread for as long as it is frozen.
 * Shape:   OpenSSL tells of each session that is made. From nats_tls_watch on, a handshake on a
 *          blocking socket (libnats' alone are such) has a deadline. A loop takes the session of
 *          its connection over when libnats attaches it:
 *
 *            ProcessWriteEvent ──► session ──► memory ──nats_tls_send──► socket
 *            ProcessReadEvent  ◄── session ◄─ nats_tls_has_input: a whole record ◄── socket
 *
 * Errors:  what the session or the socket says is left for libnats to find out in its next read.
 * Memory:  a session that was taken is the taker's reference, freed by nats_tls_free; it reads from
 *          the descriptor that it was given, so that libnats may close its own at any time.
 * Threads: take on the thread that made the connection; the rest on the loop's.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/* Before the first connection; again does nothing. */
void nats_tls_watch(void);

/* The session on descriptor, made to read from copy, which is a dup of it; *out is NULL: there is
 * no TLS. False: no memory. */
bool nats_tls_take(int descriptor, int copy, SSL **out);
void nats_tls_free(SSL **session);

/* ProcessReadEvent will not wait: there is something to read, or an error. */
bool nats_tls_has_input(SSL *session);

/* Sends what the session wrote; true: all has gone. */
bool nats_tls_send(SSL *session);
size_t nats_tls_unsent(SSL *session); /* bytes */
