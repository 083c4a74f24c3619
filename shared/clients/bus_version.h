/*
 * bus_version.h — is the server new enough to keep what it acknowledges?
 *
 * Why:    nats-server before 2.10 syncs a stream every two minutes only and cannot be told
 *         otherwise: its ack survives a crash of the process, not of the machine. libnats does not
 *         tell the server's version, but every server says it first thing on a new connection.
 * Errors: ERROR_INTERNAL for a server that is too old; ERROR_UNAVAILABLE when it cannot be asked.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>

/* Connects to host:port (without credentials), reads the INFO line and checks it. */
MUST_CHECK bool bus_version_check(const char *host, const char *port, int wait_ms,
                                  struct error *err);

/* The pure part: an INFO line, "INFO {...}". */
MUST_CHECK bool bus_version_check_line(const char *line, size_t size_bytes, struct error *err);
