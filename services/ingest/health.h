/*
 * health.h — what /health shows of ingest: nats, postgres, and each partition's reader
 *
 * Threads: on_components is called by the HTTP thread; it reads flags and asks nobody.
 */
#pragma once

struct bus;
struct service;
struct workers;

struct health {
    const struct bus *bus;         /* borrowed */
    const struct workers *workers; /* borrowed */
};

/* health is borrowed until health_hide. */
void health_show(struct health *health, struct service *service);
void health_hide(struct service *service);
