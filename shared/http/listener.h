/*
 * listener.h — a TCP socket that listens
 *
 * Why:    each loop thread has a socket of its own (SO_REUSEPORT), so the kernel spreads the
 *         connections. That option would also let a second process share the port in silence, so
 *         the port is first claimed without it.
 * Units:  user_timeout_ms is TCP_USER_TIMEOUT: a peer that takes nothing for so long is cut off;
 *         accepted sockets inherit it and TCP_NODELAY.
 * Errors: ERROR_INVALID for an address that is none, ERROR_UNAVAILABLE with host:port otherwise.
 */
#pragma once

#include "base/error.h"

enum { LISTENER_TEXT_MAX = 96 };

/* host is an IPv4 or IPv6 address, never a name. The port is free, or becomes known: *port 0 is
 * replaced by the one that the kernel picked. */
MUST_CHECK bool listener_claim(const char *host, int *port, struct error *err);

/* A non-blocking socket; -1 on failure. "::" takes IPv4 as well. */
int listener_open(const char *host, int port, int user_timeout_ms, struct error *err);
