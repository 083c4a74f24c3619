/*
 * workers.h — a thread a partition, each with its own connection, reader and breaker
 *
 * Why:     one reader a partition is enough for its order, and partitions need nothing from each
 *          other: what is slow or broken in one leaves the rest alone.
 * Shape:   a worker steps its ingest while the process holds the partition's lease, and waits
 *          otherwise. The compare-and-set of the position guards the truth, not the lease.
 * Threads: open and close by main; workers_x that take const may be called from any thread.
 */
#pragma once

#include "base/error.h"
#include "ingest.h"
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct bus;
struct leases;
struct service;
struct workers;

enum worker_state {
    WORKER_IDLE,    /* another process has the lease */
    WORKER_READING, /* the last step worked */
    WORKER_FAILING, /* it did not */
    WORKER_BLOCKED, /* the database's breaker is open */
};

struct workers_options {
    uint32_t partition_count;
    struct endpoint *postgres; /* borrowed until workers_close */
    int connect_ms, query_ms;
    size_t fetch_messages, fetch_bytes;
    int request_ms;
    struct ingest_options ingest; /* of each; the partition is filled in */
};

/* bus, leases and service are borrowed until workers_close. */
struct workers *workers_open(const struct workers_options *options, struct bus *bus,
                             const struct leases *leases, struct service *service,
                             struct error *err);
/* Lets each finish its transaction; the service must be stopping. */
void workers_close(struct workers **workers);

uint32_t workers_count(const struct workers *self);
enum worker_state workers_state(const struct workers *self, uint32_t partition);
/* True when every thread has come round since that moment. */
bool workers_turned_since(const struct workers *self, int64_t now_ms);
