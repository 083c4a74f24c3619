/*
 * serve.h — ingest at work, from the start that startup.h has made possible to the stop
 *
 * Shape:   leases, upkeep, dead letters and workers are opened, each borrowing what is before it;
 *          then the calling thread renews the leases until the service is to stop.
 * Errors:  only opening can fail; a lease that cannot be renewed is logged and tried again.
 */
#pragma once

#include "base/error.h"

struct bus;
struct service;
struct settings;

/* True: it was told to stop, and all that it had opened is closed. */
MUST_CHECK bool serve_until_stop(const struct settings *settings, struct service *service,
                                 struct bus *bus, struct error *err);
