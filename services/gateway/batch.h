/*
 * batch.h — events on their way to the stream, and who waits for them
 *
 * A batch belongs to one stop at a time: its lane (growing, then queued), then the publisher until
 * it is settled, then its lane again, which answers and puts it back into the pool.
 *
 * Memory:  batches come from a pool of one thread; bytes and tickets are allocated once per batch
 *          and used again. Pages that no event ever touched cost nothing.
 * Limits:  BATCH_EVENTS_MAX events; the bytes that batch_pool_init was given.
 * Threads: one loop thread.
 */
#pragma once

#include "event/codec.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH_EVENTS_MAX = 4096 };

enum batch_outcome {
    BATCH_STORED,      /* on the stream: 202 */
    BATCH_UNAVAILABLE, /* no proof that it is: 503 */
    BATCH_OUTCOME_COUNT,
};

struct batch;
struct ticket;

/* Told once, when the event's batch is settled. Must answer, must not block. */
typedef void (*ticket_settled_fn)(struct ticket *ticket, enum batch_outcome outcome);

/* One event's stake in a batch; embedded in its waiter, which forgets it before it goes away. */
struct ticket {
    ticket_settled_fn on_settled;
    struct batch *batch; /* NULL: waits for nothing */
    size_t index;        /* of the event in the batch */
};

struct batch {
    struct batch *next; /* in the pool or in a lane's queue */
    uint32_t partition;
    size_t size_bytes, count;
    uint8_t *bytes;
    struct ticket **tickets; /* [count]; NULL: nobody waits any more */
    uint32_t by_type[EVENT_TYPE_COUNT];
    int64_t deadline_ms; /* monotonic; 0: not set yet */
    uint64_t number;     /* 0: not sent yet */
    /* The publisher's, from its first try on. */
    uint32_t attempt_k; /* last part of Nats-Msg-Id: grows with each explicit refusal */
    uint32_t tries;
    int64_t sent_ms, retry_ms; /* monotonic: the first try; when the next one is due */
};

struct batch_pool {
    struct batch *free;
    size_t bytes_max; /* of encoded events; the header's room comes on top */
    size_t out_count; /* batches that are under way */
};

void batch_pool_init(struct batch_pool *pool, size_t bytes_max);
void batch_pool_free(struct batch_pool *pool);

/* An empty batch; NULL: no memory. */
struct batch *batch_pool_take(struct batch_pool *pool, uint32_t partition);
void batch_pool_return(struct batch_pool *pool, struct batch *batch);

/* False: the batch is full, and nothing was added. */
bool batch_add(struct batch *batch, size_t bytes_max, const struct event *event,
               struct ticket *ticket);

/* The waiter goes away: its event stays in the batch, its answer is not needed. */
void batch_forget(struct ticket *ticket);

/* Tells every waiter that is still there. */
void batch_tell(struct batch *batch, enum batch_outcome outcome);
