#include "inbox.h"

#include "base/auto.h"
#include "base/told.h"
#include "inbox_claim.h"
#include "inbox_link.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    QUERY_MIN_MS = 20,
    COLUMNS = 7,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_UUID = 2950
};

struct inbox {
    struct inbox_options options;
    struct inbox_link writer; /* the line's thread's */
    struct inbox_link reader; /* the replayer's thread's, like what follows */
    struct breaker_permit claim_permit;
    int64_t look_at_ms;
    bool has_told_too_large;
    struct told last_failure;
    _Atomic int64_t bytes, batches;
    atomic_bool is_readable; /* by the last look */
};

static bool write_jobs(void *ctx, const struct keep_job *jobs, struct error *err);

struct inbox *inbox_open(const struct inbox_options *options, struct error *err)
{
    AUTO(inbox_close) struct inbox *self = calloc(1, sizeof(*self));
    const struct pg_options pg = {.endpoint = options->postgres,
                                  .application = "adledger gateway inbox",
                                  .connect_ms = options->connect_ms,
                                  .query_ms = options->query_ms};

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "inbox: no memory");
        return NULL;
    }
    self->options = *options;
    if (!inbox_link_open(&self->writer, "inbox", &pg, err) ||
        !inbox_link_open(&self->reader, "inbox_replay", &pg, err))
        return NULL;
    return TAKE(self);
}

void inbox_close(struct inbox **inbox)
{
    struct inbox *self = *inbox;

    if (self == NULL)
        return;
    inbox_link_close(&self->writer);
    inbox_link_close(&self->reader);
    free(self);
    *inbox = NULL;
}

struct keep_store inbox_store(struct inbox *self)
{
    return (struct keep_store){.write = write_jobs, .ctx = self};
}

static void free_columns(struct pg_array (*columns)[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++)
        pg_array_free(&(*columns)[i]);
}

static bool insert(struct pg *pg, const struct keep_job *jobs, struct error *err)
{
    static const Oid types[COLUMNS] = {OID_UUID, OID_INT4, OID_INT4, OID_INT8,
                                       OID_INT4, OID_INT4, OID_BYTEA};
    AUTO(free_columns) struct pg_array columns[COLUMNS];
    struct pg_param params[COLUMNS];

    for (int i = 0; i < COLUMNS; i++)
        pg_array_init(&columns[i], types[i]);
    for (; jobs != NULL; jobs = jobs->next) {
        const struct kept_batch *batch = &jobs->batch;

        pg_array_add_bytes(&columns[0], batch->gateway_id, sizeof(batch->gateway_id));
        pg_array_add_int32(&columns[1], (int32_t)batch->thread);
        pg_array_add_int32(&columns[2], (int32_t)batch->partition);
        pg_array_add_int64(&columns[3], (int64_t)batch->batch_no);
        pg_array_add_int32(&columns[4], (int32_t)batch->attempt_k);
        pg_array_add_int32(&columns[5], (int32_t)batch->events);
        pg_array_add_bytes(&columns[6], batch->bytes, batch->size_bytes);
    }
    for (int i = 0; i < COLUMNS; i++) {
        if (!pg_array_param(&columns[i], &params[i], err))
            return false;
    }
    return pg_query(pg, "inbox_insert",
                    "INSERT INTO inbox (gateway_id, thread, partition, batch_no, try, events,"
                    " payload) SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[],"
                    " $4::bigint[], $5::int[], $6::int[], $7::bytea[]) ON CONFLICT DO NOTHING",
                    params, COLUMNS, NULL, err);
}

static bool write_jobs(void *ctx, const struct keep_job *jobs, struct error *err)
{
    struct inbox *self = ctx;
    struct breaker_permit permit;
    int64_t left_ms;

    if (atomic_load(&self->bytes) >= self->options.max_bytes)
        return error_set(err, ERROR_LIMIT, "inbox: it holds %" PRId64 " bytes",
                         atomic_load(&self->bytes));
    if (!inbox_link_ask(&self->writer, &permit, err))
        return false;
    left_ms = keep_jobs_deadline_ms(jobs) - clock_now_ms();
    if (left_ms < QUERY_MIN_MS) {
        breaker_cancel(&self->writer.guard.breaker, &permit, clock_now_ms());
        return error_set(err, ERROR_UNAVAILABLE, "inbox: the connection took all the time");
    }
    pg_set_query_ms(self->writer.pg,
                    (int)(left_ms < self->options.query_ms ? left_ms : self->options.query_ms));
    return inbox_link_answer(&self->writer, &permit, insert(self->writer.pg, jobs, err), err) ||
           error_wrap(err, "inbox");
}

static void report_failure(struct inbox *self, const struct error *err)
{
    if (told_is_news(&self->last_failure, err))
        log_warn("inbox_failed", "why=\"%s\"", err->text);
}

static void report_state(struct inbox *self, const struct inbox_state *state)
{
    int64_t age_ms = state->kept.oldest_at_ms > 0 ? clock_at_ms() - state->kept.oldest_at_ms : 0;

    atomic_store(&self->bytes, state->kept.bytes);
    atomic_store(&self->batches, state->kept.batches - state->too_large);
    gateway_set(GATEWAY_inbox_batches, (double)state->kept.batches);
    gateway_set(GATEWAY_inbox_events, (double)state->kept.events);
    gateway_set(GATEWAY_inbox_bytes, (double)state->kept.bytes);
    gateway_set(GATEWAY_inbox_max_bytes, (double)self->options.max_bytes);
    gateway_set(GATEWAY_inbox_oldest_age_seconds, age_ms > 0 ? (double)age_ms / 1000.0 : 0);
    gateway_set(GATEWAY_inbox_damaged_batches, (double)state->too_large);
    if (state->too_large > 0 && !self->has_told_too_large)
        log_error("inbox_too_large", "batches=%" PRId64 " why=\"%s\"", state->too_large,
                  "the server's max_payload is smaller: they stay in the inbox");
    self->has_told_too_large = state->too_large > 0;
}

void inbox_look(struct inbox *self, size_t payload_max, int64_t now_ms)
{
    struct inbox_state state = {0};
    struct breaker_permit permit;
    struct error err;

    if (now_ms < self->look_at_ms)
        return;
    self->look_at_ms = now_ms + INBOX_LOOK_MS;
    pg_set_query_ms(self->reader.pg, self->options.query_ms);
    if (!inbox_link_ask(&self->reader, &permit, &err) ||
        !inbox_link_answer(&self->reader, &permit,
                           inbox_read_state(self->reader.pg, payload_max, &state, &err), &err)) {
        atomic_store(&self->is_readable, false);
        report_failure(self, &err);
        return;
    }
    atomic_store(&self->is_readable, true);
    told_reset(&self->last_failure);
    report_state(self, &state);
}

struct service_component inbox_describe(const struct inbox *self)
{
    struct service_component inbox = {.name = "inbox", .state = "up"};
    int64_t batches = atomic_load(&self->batches);
    bool is_full = atomic_load(&self->bytes) >= self->options.max_bytes;

    if (!atomic_load(&self->is_readable)) {
        inbox.state = "down";
        (void)snprintf(inbox.detail, sizeof(inbox.detail), "it cannot be read");
        return inbox;
    }
    if (is_full)
        inbox.state = "degraded";
    if (is_full || batches > 0)
        (void)snprintf(inbox.detail, sizeof(inbox.detail), "%" PRId64 " batches wait%s", batches,
                       is_full ? ", full" : "");
    return inbox;
}

bool inbox_has_rows(const struct inbox *self)
{
    return atomic_load(&self->batches) > 0;
}

static bool claim(void *ctx, const struct kept_limits *limits, struct kept_rows *out,
                  struct error *err)
{
    struct inbox *self = ctx;

    if (!inbox_link_ask(&self->reader, &self->claim_permit, err))
        return false;
    if (!inbox_claim(self->reader.pg, limits, out, err))
        return inbox_link_answer(&self->reader, &self->claim_permit, false, err);
    if (out->count > 0)
        return true;                 /* settle answers for both */
    atomic_store(&self->batches, 0); /* others have them, or their partitions wait: look again */
    return inbox_link_answer(&self->reader, &self->claim_permit, true, err);
}

static bool settle(void *ctx, const struct kept_rows *rows, struct error *err)
{
    struct inbox *self = ctx;

    return inbox_link_answer(&self->reader, &self->claim_permit,
                             inbox_settle(self->reader.pg, rows, err), err);
}

struct replay_source inbox_source(struct inbox *self)
{
    return (struct replay_source){.name = "inbox", .claim = claim, .settle = settle, .ctx = self};
}
