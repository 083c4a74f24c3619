/*
 * health.h — what /health shows of ingest: nats, postgres, and each partition's reader
 *
 * Shape:   health_start -> health_show -> health_hide; from the first to the second, all of it is
 *          "starting".
 * Threads: on_components is called by the HTTP thread; it reads flags and asks nobody.
 */
#pragma once

#include <stdint.h>

struct bus;
struct service;
struct workers;

struct health {
    const struct bus *bus;         /* borrowed */
    const struct workers *workers; /* borrowed */
};

/* Before the HTTP thread is there: what will be shown is named. */
void health_start(struct service *service, uint32_t partition_count);
/* health is borrowed until health_hide. */
void health_show(struct service *service, struct health *health);
void health_hide(struct service *service);
