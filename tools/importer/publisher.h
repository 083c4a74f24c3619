/*
 * publisher.h — events onto the stream, as a gateway sends them
 *
 * Why:    there is one path into events. A run is a gateway with an id of its own that numbers its
 *         batches, names each for deduplication and believes only an ack of the right stream with a
 *         sequence.
 * Shape:  a batch a partition fills up to EVENTS_PER_BATCH; before it is sent, events that are
 *         stored already leave it. One batch is in flight at a time: what a batch holds makes that
 *         fast enough, and ingest is the slower one.
 *
 *   add -> [batch fills] -> drop what is stored -> wait for room -> publish -> ack
 *
 * An import must not be in the way of live traffic: it waits while ingest is BACKLOG_MAX messages
 * behind, and while a stream is more than half full.
 *
 * Errors: ERROR_UNAVAILABLE after STALL_MS without any progress. Nothing is lost by it: the next
 *         run sends again what was not stored.
 */
#pragma once

#include "base/error.h"
#include "event/event.h"
#include "target.h"

struct bus;
struct progress;
struct publisher;

struct publisher_options {
    struct bus *bus; /* borrowed, like the two below */
    struct target *target;
    struct progress *progress; /* told while it waits */
};

struct publisher *publisher_new(const struct publisher_options *options, struct error *err);
void publisher_free(struct publisher **publisher);

MUST_CHECK bool publisher_add(struct publisher *publisher, const struct event *event,
                              struct error *err);
/* Sends what is not full: afterwards everything that was added is on the stream, or stored. */
MUST_CHECK bool publisher_flush(struct publisher *publisher, struct error *err);

/* After the last flush: closes the lanes' books with a heartbeat each, waits until ingest has read
 * all of it, and tells what became of it. */
MUST_CHECK bool publisher_settle(struct publisher *publisher, struct target_ledger *out,
                                 struct error *err);

int64_t publisher_sent(const struct publisher *publisher);    /* events that were acknowledged */
int64_t publisher_known(const struct publisher *publisher);   /* events that were stored before */
int64_t publisher_batches(const struct publisher *publisher); /* acknowledged, heartbeats too */
