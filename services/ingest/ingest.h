/*
 * ingest.h — one partition of the stream into PostgreSQL, a step at a time
 *
 * Why:     each step is straight code: fetch, decode, store. The position in PostgreSQL is the only
 *          memory of what was done, so whatever goes wrong ends in reading it again.
 * Errors:  a step that fails has changed nothing that the next one relies on: pause and call again.
 *          What the database could not do just now is tried again at most three times as it is
 *          held, which is no failure of the step; ingest_wait_ms tells when.
 * Memory:  borrows the connections; owns its batch and its store.
 * Limits:  a transaction takes at most batch_events, then no further message; a message is never
 *          split. While the breaker is not closed it takes what the breaker allows.
 * Threads: one owner thread.
 *
 *   locate (position, stream) -> fetch -> decode -> store -> fetch -> ...
 *      ^--------- a failure, or another process moved the position --------/
 */
#pragma once

#include "base/error.h"
#include "clients/bus.h"
#include <stddef.h>
#include <stdint.h>

struct batch;
struct pg;
struct reader;
struct reader_message;
struct store;

struct ingest_options {
    uint32_t partition;
    size_t batch_events; /* per transaction; the last message may go over it */
    int wait_ms;         /* for a first message */
    int linger_ms;       /* for more, once there is one */
    int64_t retention_days;
    int64_t slow_ms; /* a transaction over this counts as slow for the breaker */
    int lock_ms;     /* the server's lock_timeout in our transactions */
    struct stream_limits stream;
};

struct ingest;

/* Borrows bus, pg and reader until ingest_free. NULL: no memory. */
struct ingest *ingest_new(const struct ingest_options *options, struct bus *bus, struct pg *pg,
                          struct reader *reader);
void ingest_free(struct ingest **ingest);

/* One fetch, or what is left of the last one, into one transaction. Nothing to read is success. */
MUST_CHECK bool ingest_step(struct ingest *self, struct error *err);

/*
 * How long until the next step: the jitter before a retry, or the breaker's cooldown; 0: step now.
 * While the breaker is open nothing is held, and a database that could not be reached is knocked
 * at: a connection ends the cooldown.
 */
int64_t ingest_wait_ms(struct ingest *self);
bool ingest_is_blocked(const struct ingest *self); /* the breaker is open */

/* What is held is dropped, the position is read again. */
void ingest_forget(struct ingest *self);
/* The lease has gone, too: so do the clock's skew and what is behind, which alerts stand on. */
void ingest_release(struct ingest *self);
