/*
 * batch.h — events on their way to the stream, and who waits for them
 *
 * A batch belongs to one stop at a time: its lane (growing, then queued), then the publisher, then,
 * if the stream did not take it, the keeper, then its lane again, which answers and puts it back
 * into the pool. A batch without events is a heartbeat: it only carries what its header tells.
 *
 * Memory:  batches come from a pool of one thread; bytes and tickets are allocated once per batch
 *          and used again. Pages that no event ever touched cost nothing.
 * Limits:  BATCH_EVENTS_MAX events; the bytes that batch_pool_init was given.
 * Threads: one loop thread.
 */
#pragma once

#include "event/codec.h"
#include "keep_line.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH_EVENTS_MAX = 4096 };

enum batch_outcome {
    BATCH_STORED,      /* on the stream: 202 */
    BATCH_KEPT,        /* in the spool or the inbox: 202 */
    BATCH_UNAVAILABLE, /* no proof that it is anywhere: 503 */
    BATCH_OUTCOME_COUNT,
};

/* 202 or not. */
static inline bool batch_is_promised(enum batch_outcome outcome)
{
    return outcome != BATCH_UNAVAILABLE;
}

enum keep_stop { KEEP_SPOOL, KEEP_INBOX, KEEP_STOP_COUNT };

struct keeper;

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

/* A batch's stay at one line of keeping. */
struct stay {
    struct keep_job job; /* first: the line gives it back */
    struct keeper *keeper;
    struct batch *batch;
    struct stay *next_done;
    enum error_kind result; /* of a job that has come back */
    bool was_asked, is_out; /* is_out: the line has it */
};

struct batch {
    struct batch *next; /* in the pool, in a lane's queue or at the keeper */
    size_t size_bytes, count;
    uint8_t *bytes;
    struct ticket **tickets; /* [count]; NULL: nobody waits any more */
    uint32_t by_type[EVENT_TYPE_COUNT];
    uint32_t by_reason[EVENT_REASON_COUNT];
    uint32_t partition;
    uint32_t attempt_k; /* the publisher's: last part of Nats-Msg-Id, grows with each refusal */
    uint32_t tries;     /* the publisher's */
    bool is_retry_paid; /* the publisher's: from the breaker's budget */
    bool has_verdict;   /* the keeper's */
    int64_t stream_until_ms;   /* monotonic: then the stream has had its time; 0: not set yet */
    int64_t deadline_ms;       /* monotonic: the verdict is due */
    uint64_t number;           /* 0: handed to nobody yet */
    int64_t sent_ms, retry_ms; /* the publisher's, monotonic: the first try; when the next is due */
    struct batch *previous;    /* the keeper's: with next it links what is there */
    struct stay stays[KEEP_STOP_COUNT]; /* the keeper's */
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
