#include "inquiry.h"

#include "gateway.h"
#include "http/respond.h"
#include "query.h"
#include "runtime/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROLLBACK_MS = 200 }; /* after it the connection is given up */

/* Lies in the request's pool, and knows when the request goes away. */
struct inquiry_guard {
    h2o_req_t *req;
    struct inquiry *inquiry;
};

static void on_run(struct pg *pg, struct query_job *job);
static void on_done(struct query_job *job);
static void respond(struct inquiry *self, h2o_req_t *req);

static struct inquiry *of(struct query_job *job)
{
    return H2O_STRUCT_FROM_MEMBER(struct inquiry, job, job);
}

static void on_dispose(void *memory)
{
    struct inquiry_guard *guard = memory;

    if (guard->inquiry != NULL)
        guard->inquiry->guard = NULL;
}

struct inquiry *inquiry_new(h2o_req_t *req, size_t size_bytes, const struct inquiry_kind *kind)
{
    struct inquiry *self = calloc(1, size_bytes);

    if (self == NULL) {
        respond_fault(req, FAULT_OVERLOADED, "", "there is no memory for the question");
        return NULL;
    }
    self->kind = kind;
    self->query = gateway_thread_of(req)->query;
    self->status = 200;
    self->guard = h2o_mem_alloc_shared(&req->pool, sizeof(*self->guard), on_dispose);
    *self->guard = (struct inquiry_guard){.req = req, .inquiry = self};
    text_init(&self->body, INQUIRY_BODY_MAX);
    return self;
}

static void free_inquiry(struct inquiry *self)
{
    if (self->guard != NULL)
        self->guard->inquiry = NULL;
    if (self->kind->free != NULL)
        self->kind->free(self);
    text_free(&self->body);
    free(self);
}

void inquiry_start(struct inquiry *self)
{
    struct query *query = self->query;
    struct error err = {ERROR_UNAVAILABLE, "inquiry: closing"};

    self->job.receiver = &query->receiver;
    self->job.run = on_run;
    self->job.done = on_done;
    if (query->options.proof_pool != NULL &&
        query_pool_submit(query->options.proof_pool, &self->job, &err)) {
        query->asks++;
        return;
    }
    self->job.result = err;
    respond(self, self->guard->req);
    free_inquiry(self);
}

void inquiry_refuse(struct inquiry *self, const struct faults *faults)
{
    respond_faults(self->guard->req, faults, 0);
    free_inquiry(self);
}

static void on_run(struct pg *pg, struct query_job *job)
{
    struct inquiry *self = of(job);

    if (self->kind->read(self, pg, &job->result))
        job->result = (struct error){ERROR_NONE, ""};
}

static void on_done(struct query_job *job)
{
    struct inquiry *self = of(job);
    bool is_good = job->result.kind == ERROR_NONE && self->faults.count == 0;

    if (is_good && self->guard != NULL && self->kind->settle != NULL)
        self->kind->settle(self);
    else
        inquiry_answer(self);
}

void inquiry_answer(struct inquiry *self)
{
    self->query->asks--;
    if (self->guard != NULL)
        respond(self, self->guard->req);
    free_inquiry(self);
}

static void respond_error(h2o_req_t *req, const struct error *error)
{
    switch (error->kind) {
    case ERROR_LIMIT:
        respond_fault(req, FAULT_OVERLOADED, "", "too many questions at once");
        return;
    case ERROR_UNAVAILABLE:
        respond_fault(req, FAULT_UNAVAILABLE, "", "the database cannot be asked now");
        return;
    case ERROR_UNCERTAIN:
        respond_fault(req, FAULT_UNAVAILABLE, "", "nobody knows whether it was done: look again");
        return;
    case ERROR_NONE:
    case ERROR_INVALID:
    case ERROR_INTERNAL:
        log_error("inquiry_failed", "kind=%s why=\"%s\"", error_kind_name(error->kind),
                  error->text);
        respond_fault(req, FAULT_INTERNAL, "", "the question could not be answered");
        return;
    }
}

static void respond(struct inquiry *self, h2o_req_t *req)
{
    if (self->job.result.kind != ERROR_NONE)
        respond_error(req, &self->job.result);
    else if (self->faults.count > 0)
        respond_faults(req, &self->faults, 0);
    else if (!text_ok(&self->body))
        respond_fault(req, FAULT_INTERNAL, "", "the answer could not be put together");
    else if (self->body.size == 0)
        respond_empty(req, self->status);
    else
        respond_json(req, self->status,
                     h2o_strdup(&req->pool, text_str(&self->body), self->body.size));
}

void inquiry_fault(struct inquiry *self, enum fault_code code, const char *field,
                   const char *format, ...)
{
    char detail[sizeof(self->faults.rows[0].detail)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    fault_add(&self->faults, code, field, "%s", detail);
}

/* NOLINTNEXTLINE(readability-function-size): pg_query's parameters, and whose deadline it is */
bool inquiry_query(struct inquiry *self, struct pg *pg, const char *sql,
                   const struct pg_param *params, int param_count, PGresult **out_result,
                   struct error *err)
{
    return query_has_time(pg, self->job.deadline_ms, err) &&
           pg_query(pg, NULL, sql, params, param_count, out_result, err);
}

bool inquiry_begin(struct inquiry *self, struct pg *pg, const char *mode, struct error *err)
{
    return query_has_time(pg, self->job.deadline_ms, err) && pg_begin(pg, mode, err);
}

void inquiry_rollback(struct pg *pg)
{
    pg_set_query_ms(pg, ROLLBACK_MS);
    pg_rollback(pg);
}
