/*
 * startup.h — what must be true before anything is read, in any order the world comes up in
 *
 * Why:    a dependency that is not there yet is waited for; a deployment that is wrong stops the
 *         process with a message that says what to do.
 * Shape:  migrations -> PARTITIONS agreed on -> days made -> NATS -> streams. Each step is tried
 *         again until it works or the service stops.
 * Errors: ERROR_INVALID and ERROR_INTERNAL end the start.
 */
#pragma once

#include "base/error.h"

struct bus;
struct service;
struct settings;

/* The migrations alone, once, for --migrate. */
MUST_CHECK bool startup_migrate(const struct settings *settings, struct error *err);

/* *out_bus is the caller's to close; NULL when the service was stopped meanwhile. */
MUST_CHECK bool startup_run(const struct settings *settings, struct service *service,
                            struct bus **out_bus, struct error *err);
