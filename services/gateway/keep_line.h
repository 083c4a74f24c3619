/*
 * keep_line.h — a line of keeping: a thread that makes batches durable beside the stream
 *
 * Why:     what the stream does not take is kept by the spool, and what the spool does not take by
 *          PostgreSQL's inbox. Both block, so each has a thread of its own, and both are asked alike.
 * Shape:   a bounded queue and group commit: the thread takes all that waits and hands it to the
 *          store's write in one call, one transaction.
 *
 *            keep_line_submit -> queue -> store->write (one transaction) -> job->on_done
 *
 * Errors:  a job's result is ERROR_NONE only when its batch is on stable storage. ERROR_LIMIT: the
 *          store is full. ERROR_UNAVAILABLE: it cannot be written, or the job's time was up before
 *          it was its turn.
 * Memory:  a job and the bytes it points to are the caller's and must live until on_done, which
 *          comes exactly once if keep_line_submit was true, and never otherwise.
 * Limits:  queue_max_bytes of jobs that wait; each job's deadline_ms.
 * Units:   monotonic milliseconds.
 * Threads: submit from any; on_done is called on the line's thread, must not block.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* A batch as it is kept: the stream's message and what its Nats-Msg-Id is made of. */
struct kept_batch {
    uint8_t gateway_id[16];
    uint32_t thread, partition;
    uint64_t batch_no;
    uint32_t attempt_k; /* last part of Nats-Msg-Id */
    uint32_t events;
    const uint8_t *bytes; /* borrowed */
    size_t size_bytes;
};

struct keep_job {
    struct kept_batch batch;
    int64_t deadline_ms; /* not begun by then: ERROR_UNAVAILABLE */
    void (*on_done)(struct keep_job *job, const struct error *result);
    struct keep_job *next; /* the line's */
};

/* What a line writes to. write stores all jobs of the list (by next) in one transaction, or none,
 * and may take until the latest of their deadlines. */
struct keep_store {
    bool (*write)(void *ctx, const struct keep_job *jobs, struct error *err);
    void *ctx;
};

struct keep_line;

struct keep_line *keep_line_open(const char *name, const struct keep_store *store,
                                 size_t queue_max_bytes, struct error *err);
/* Writes what waits, as far as its deadlines allow, then ends the thread. */
void keep_line_close(struct keep_line **line);

/* ERROR_LIMIT: the queue is full. */
MUST_CHECK bool keep_line_submit(struct keep_line *line, struct keep_job *job, struct error *err);
