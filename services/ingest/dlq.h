/*
 * dlq.h — dead letters told on the stream ADS_DLQ
 *
 * Why:     whoever watches for bad events subscribes to a stream instead of asking the database.
 *          The table dead_letters is the truth; the stream is derived from it and may forget: it is
 *          bounded, and discards its oldest messages when it is full.
 * Shape:   a thread of its own, with a connection of its own: rows with published_at IS NULL are
 *          published in order of their ids, and marked when the stream has acknowledged them.
 *
 *            ask (how many) -> lock (one process at a time) -> page -> publish each -> mark -> page
 *
 * Errors:  none that anybody waits for: a failure only delays it. A letter may be told twice when
 *          the mark is lost after the ack; its Nats-Msg-Id "dlq.<id>" is the same then.
 * Limits:  DLQ_PAGE rows at a time. A letter that is larger than a message may be is told without
 *          its payload.
 * Threads: open and close by main.
 */
#pragma once

#include "base/error.h"
#include <stdint.h>

struct endpoint;
struct bus;
struct dlq;
struct service;

struct dlq_options {
    struct endpoint *postgres; /* borrowed until dlq_close */
    int connect_ms, query_ms;
    int64_t max_bytes; /* of the stream */
    int replicas;      /* when it is made */
};

/* bus and service are borrowed until dlq_close. */
struct dlq *dlq_open(const struct dlq_options *options, struct bus *bus, struct service *service,
                     struct error *err);
/* Waits for the letter that is being published; the service must be stopping. */
void dlq_close(struct dlq **dlq);
