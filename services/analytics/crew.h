/*
 * crew.h — the workers of all partitions, and what the process says about them
 *
 * Why:     main tells the story; here the workers are opened once NATS answers, the leases are
 *          renewed, and /health learns how it goes.
 * Threads: main opens, steps and closes; the components are read by the HTTP thread at any time.
 */
#pragma once

#include "base/error.h"
#include "meters.h"
#include <stdatomic.h>
#include <stdint.h>

struct bus;
struct leases;
struct service;
struct settings;
struct worker;

struct crew {
    const struct settings *settings; /* borrowed */
    struct service *service;         /* borrowed */
    struct metrics *metrics;         /* borrowed */
    struct bus *bus;
    struct leases *leases;
    struct worker *workers[PARTITIONS_MAX];
    atomic_uint worker_count; /* published once all have been started */
};

/* Tells the service whom to ask about the dependencies. */
void crew_init(struct crew *crew, const struct settings *settings, struct service *service,
               struct metrics *metrics);
/* ERROR_UNAVAILABLE: no broker yet; call again. */
MUST_CHECK bool crew_open(struct crew *crew, struct error *err);
/* Renews the leases; makes the service ready once what it holds is being counted. */
MUST_CHECK bool crew_step(struct crew *crew, struct error *err);
void crew_close(struct crew *crew);
