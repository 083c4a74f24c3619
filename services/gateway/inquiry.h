/*
 * inquiry.h — one request's question to PostgreSQL's threads
 *
 * Why:     receipts, the audit and the dead letters are read where the truth is, and a loop may not
 *          wait for it.
 * Shape:   a handler embeds struct inquiry first in a struct of its own:
 *
 *            inquiry_start (loop) -> read (a pool's thread) -> settle (loop) -> inquiry_answer
 *                                                          \- failed: a problem is answered
 *
 * Errors:  read's become a problem: ERROR_LIMIT and ERROR_UNAVAILABLE 503, ERROR_INTERNAL 500 and a
 *          line in the log. What is the caller's fault it tells by inquiry_fault instead.
 * Memory:  inquiry_new's is freed after the answer, with kind->free first; a request that goes away
 *          before is not answered, and its inquiry lives until read is done.
 * Limits:  the proof pool's queue and deadline.
 * Threads: read on a pool's thread, all else on the request's loop.
 */
#pragma once

#include "base/text.h"
#include "clients/pg.h"
#include "event/fault.h"
#include "query_pool.h"

#include <h2o.h>
#include <stdbool.h>
#include <stdint.h>

enum { INQUIRY_BODY_MAX = 8 << 20 };

struct inquiry;
struct query;

struct inquiry_kind {
    /* Asks, within job.deadline_ms, and writes body; false: err says why. */
    bool (*read)(struct inquiry *self, struct pg *pg, struct error *err);
    /* Read is done: calls inquiry_answer, now or later. NULL: at once. */
    void (*settle)(struct inquiry *self);
    /* What the embedding struct owns; NULL: nothing. */
    void (*free)(struct inquiry *self);
};

struct inquiry {
    struct query_job job;
    const struct inquiry_kind *kind; /* borrowed for ever */
    struct query *query;             /* the loop's */
    struct inquiry_guard *guard;     /* the request's; NULL: it is gone */
    int status;                      /* of the answer, 200 unless read says else */
    struct text body;                /* JSON; empty: none */
    struct faults faults;            /* any: the answer is a problem */
};

/* size_bytes of the embedding struct, zeroed beyond the inquiry. NULL: 503 has been answered. */
struct inquiry *inquiry_new(h2o_req_t *req, size_t size_bytes, const struct inquiry_kind *kind);
/* Hands it over; answers 503 when there is no room. */
void inquiry_start(struct inquiry *self);

/* Answers with these faults instead, and frees it. */
void inquiry_refuse(struct inquiry *self, const struct faults *faults);

/* In read: the answer is a problem with this code. */
void inquiry_fault(struct inquiry *self, enum fault_code code, const char *field,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Answers with what read has left, if the request is still there, and frees the inquiry. */
void inquiry_answer(struct inquiry *self);

/* One statement within the job's deadline. */
MUST_CHECK bool inquiry_query(struct inquiry *self, struct pg *pg, const char *sql,
                              const struct pg_param *params, int param_count, PGresult **out_result,
                              struct error *err);
MUST_CHECK bool inquiry_begin(struct inquiry *self, struct pg *pg, const char *mode,
                              struct error *err);
/* Ends a transaction that has written nothing, or that failed. */
void inquiry_rollback(struct pg *pg);
