/*
 * keep_line.h — a line of keeping: a thread that makes batches durable beside the stream
 *
 * Why:     what the stream does not take is kept by the spool, and what the spool does not take by
 *          PostgreSQL's inbox. Both block, so each has a thread of its own, and both are asked
 *          alike.
 * Shape:   a bounded queue and group commit: the thread takes what waits and hands it to the
 *          store's write in one call, one transaction.
 *
 *            keep_line_submit -> queue -> store->write (one transaction) -> job->on_done
 *
 * Errors:  a job's result is ERROR_NONE only when its batch is on stable storage. ERROR_LIMIT: the
 *          store is full. ERROR_UNAVAILABLE: it cannot be written, or the job's time was up before
 *          it was its turn. After any failure the batch may still be found in the store, for
 *          nobody knows what a write that broke off has left: the same batch, should it come
 *          again, counts once.
 * Memory:  a job and the bytes it points to are the caller's and must live until on_done, which
 *          comes exactly once if keep_line_submit was true, and never otherwise.
 * Limits:  queue_max_bytes of jobs that wait; each job's deadline_ms; KEEP_GROUP_MAX_BYTES and
 *          KEEP_GROUP_MAX jobs a transaction. A disk that hangs in the kernel cannot be given up
 *          on: then on_done comes late. submit refuses at once while a write takes longer than
 *          KEEP_STUCK_MS, and keep_line_withdraw gets back what has not been begun.
 * Units:   monotonic milliseconds.
 * Threads: submit and withdraw from any; on_done is called on the line's thread, must not block.
 */
#pragma once

#include "base/error.h"
#include "metrics.h"
#include <stddef.h>
#include <stdint.h>

enum { KEEP_GROUP_MAX_BYTES = 4 << 20, KEEP_GROUP_MAX = 1024, KEEP_STUCK_MS = 2000 };

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

struct keep_line_options {
    const char *name; /* of the thread and in errors; borrowed; at most 15 characters */
    struct keep_store store;
    size_t queue_max_bytes;
    enum gateway_metric writes; /* counter of jobs, by keep_result_names */
    enum gateway_metric queue;  /* gauge of bytes */
};

struct keep_line;

struct keep_line *keep_line_open(const struct keep_line_options *options, struct error *err);
/* Writes what waits, as far as its deadlines allow, then ends the thread. */
void keep_line_close(struct keep_line **line);

/* ERROR_LIMIT: the queue is full. ERROR_UNAVAILABLE: the store hangs, or the line is closing. */
MUST_CHECK bool keep_line_submit(struct keep_line *line, struct keep_job *job, struct error *err);
/* True: the job was still waiting and is the caller's again; its on_done will not come. False: its
 * write has begun, or is over, and on_done comes or has come. */
bool keep_line_withdraw(struct keep_line *line, struct keep_job *job);

/* The latest deadline of a list: until when its write may take. */
int64_t keep_jobs_deadline_ms(const struct keep_job *jobs);
