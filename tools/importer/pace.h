/*
 * pace.h — how fast an import may go: never so fast that live traffic notices
 *
 * Why:    the stream is shared with the gateways. A full one refuses their clicks, and a long
 *         backlog delays their numbers.
 * Errors: ERROR_UNAVAILABLE: ingest has read nothing, or the stream has not become emptier, for
 *         STALL_MS. That is longer than a stream keeps what it deduplicates by.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

enum {
    STALL_MS = 5 * 60 * 1000,
    BACKLOG_MAX = 64, /* messages of a partition that ingest has not read */
    STREAM_FULL_PERCENT = 50,
};

struct bus;
struct pace;
struct progress;
struct target;

/* All borrowed. NULL: no memory. */
struct pace *pace_new(struct bus *bus, struct target *target, struct progress *progress);
void pace_free(struct pace **pace);

/* Before a message: waits until there is room for it. */
MUST_CHECK bool pace_wait(struct pace *pace, uint32_t partition, struct error *err);
void pace_note(struct pace *pace, uint32_t partition, uint64_t seq); /* after its ack */
/* Waits until ingest has read every message that was noted. */
MUST_CHECK bool pace_settle(struct pace *pace, struct error *err);
