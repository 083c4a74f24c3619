/*
 * health_check.h — asks a running service whether it is ready
 *
 * Why:     a container's health command needs something in the container that can ask; the
 *          service's own binary can, so that its image carries no HTTP client.
 * Shape:   one GET /health/ready over a blocking socket; only the status of the answer counts.
 * Units:   at most HEALTH_CHECK_WAIT_S seconds to connect, to send and to read, each.
 * Errors:  ERROR_UNAVAILABLE when it does not listen, does not answer in time or answers anything
 *          but 200; ERROR_INVALID when the host is no address.
 */
#pragma once

#include "base/error.h"

enum { HEALTH_CHECK_WAIT_S = 1 };

/* host is what the service listens on: an address for all interfaces is asked on loopback. */
MUST_CHECK bool health_check(const char *host, int port, struct error *err);
