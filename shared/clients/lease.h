/*
 * lease.h — which process reads which partition
 *
 * Why:     processes of one service share the partitions without talking to each other. A lease
 *          saves work, it does not guard the truth: the compare-and-set of the position does.
 * Shape:   a NATS KV bucket in memory (proto/subjects.md), in as many copies as the streams. Each
 *          process announces itself and takes at most its fair share, ceil(partitions / members);
 *          one over its share lets the highest go. A process that is killed is inherited from after
 *          the ttl, one that closes at once.
 * Units:   now_ms is monotonic; a lease counts from before its renewal was sent, so that it ends
 *          here before it ends on the server.
 * Errors:  ERROR_UNAVAILABLE, at once while the bus's breaker is open; every step ends soon after
 *          the bus's request_ms.
 * Threads: one owner thread calls leases_step; leases_is_held may be called from any thread.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct bus;
struct leases;

struct lease_options {
    const char *service; /* "ingest" */
    uint32_t partition_count;
    int ttl_ms; /* a lease not renewed for this long is free */
};

struct leases *leases_new(struct bus *bus, const struct lease_options *options, struct error *err);
/* Gives every lease back, so that another process need not wait for the ttl. */
void leases_close(struct leases **leases);

/* Renews, releases and takes; call it every ttl / 3. A failure lets leases run out by themselves.
 */
MUST_CHECK bool leases_step(struct leases *leases, int64_t now_ms, struct error *err);
bool leases_is_held(const struct leases *leases, uint32_t partition, int64_t now_ms);
