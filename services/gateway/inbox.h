/*
 * inbox.h — the third line of keeping: batches in PostgreSQL's table `inbox`
 *
 * Why:     when neither the stream nor the disk takes a batch, PostgreSQL may still be there. Any
 *          gateway's replayer publishes what is in it, so it outlives the machine of the gateway.
 * Shape:   one statement a group of batches; claimed by FOR UPDATE SKIP LOCKED, so that several
 *          replayers share the rows out. A claim holds its transaction until it is settled.
 * Errors:  ERROR_LIMIT: the inbox holds max_bytes. ERROR_UNAVAILABLE: PostgreSQL does not answer,
 *          or has not for a while (inbox_link.h). A row that was there before is no error.
 * Limits:  max_bytes, as of the last reading, at most INBOX_LOOK_MS old; INBOX_CLAIM_MAX rows a
 *          claim; connect_ms, and query_ms a statement. A write is over by the jobs' deadline; one
 *          that has to connect first, which has two statements of its own, may end later by up to
 *          connect_ms + 2 * query_ms.
 * Threads: write on the line's; look and source on the replayer's, with a connection of its own.
 */
#pragma once

#include "kept_rows.h"

struct endpoint;
struct inbox;
struct service_component;

enum { INBOX_LOOK_MS = 1000, INBOX_CLAIM_MAX = 16 };

struct inbox_options {
    struct endpoint *postgres; /* borrowed until inbox_close */
    int connect_ms, query_ms;
    int64_t max_bytes;
};

/* Connects to nobody yet. */
struct inbox *inbox_open(const struct inbox_options *options, struct error *err);
void inbox_close(struct inbox **inbox);

/* For keep_line_open. */
struct keep_store inbox_store(struct inbox *self);

/* Every INBOX_LOOK_MS: reads what is in it, and sets the gauges. */
void inbox_look(struct inbox *self, size_t payload_max, int64_t now_ms);
/* True when the last look has seen rows that may be published. */
bool inbox_has_rows(const struct inbox *self);
struct replay_source inbox_source(struct inbox *self);

/* The component `inbox` of /health, as of the last look: degraded when it is full. */
struct service_component inbox_describe(const struct inbox *self);
