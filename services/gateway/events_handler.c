/*
 * A request with many events, from its body to its answer, all on its loop thread:
 *
 *   collect     decode; every event is admitted and handed to its lane, or rejected by its code
 *   on_event    one of them
 *   on_settled  the batch of one of them is settled; the last one answers for all
 *   on_dispose  the client went away before: the events stay in their batches
 */
#include "events_handler.h"

#include "admission.h"
#include "base/auto.h"
#include "base/text.h"
#include "batcher.h"
#include "collector.h"
#include "gateway.h"
#include "http/request.h"
#include "http/respond.h"
#include "id_set.h"
#include "intake.h"
#include "metrics.h"
#include "socket_hold.h"

#include <stdio.h>
#include <string.h>

enum {
    ANSWER_MAX_BYTES = 256 << 10, /* EVENTS_MAX results have some 150 bytes each */
    ID_TEXT_SIZE = 37,
};

struct bulk;

struct bulk_event {
    struct ticket ticket;
    struct bulk *bulk;
    bool is_accepted;
    enum fault_code code;                              /* when it is not */
    char field[sizeof(((struct fault *)NULL)->field)]; /* that code is of; "": of none */
    char id[ID_TEXT_SIZE];                             /* "": it has none that could be read */
};

struct bulk {
    h2o_req_t *req;
    struct socket_hold hold;
    bool is_recorded; /* false: only validated */
    size_t count, count_max, waiting;
    struct id_set *ids;         /* of the events that were admitted; in the request's pool */
    struct bulk_event events[]; /* [count_max] */
};

static void collect(h2o_req_t *req, bool is_recorded);
static void on_event(void *ctx, size_t index, const struct decoded *decoded,
                     const struct faults *faults);
static void record(struct bulk *bulk, struct bulk_event *event, struct event *recorded);
static void on_settled(struct ticket *ticket, enum batch_outcome outcome);
static void answer(struct bulk *bulk);
static void on_dispose(void *shared);

void events_post(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    collect(req, true);
}

void events_validate(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    collect(req, false);
}

static struct bulk *new_bulk(h2o_req_t *req, bool is_recorded)
{
    /* No event takes less than two bytes of the body. */
    size_t fit = req->entity.len / 2 + 1;
    size_t count_max = fit < EVENTS_MAX ? fit : EVENTS_MAX;
    size_t size = sizeof(struct bulk) + count_max * sizeof(struct bulk_event);
    struct bulk *bulk = h2o_mem_alloc_shared(&req->pool, size, on_dispose);

    *bulk = (struct bulk){.req = req, .is_recorded = is_recorded, .count_max = count_max};
    bulk->ids = id_set_init(h2o_mem_alloc_pool(&req->pool, id_set_size(count_max)), count_max);
    return bulk;
}

static void collect(h2o_req_t *req, bool is_recorded)
{
    struct bulk *bulk = new_bulk(req, is_recorded);
    struct decode_context context;
    struct faults faults = {0};

    intake_context(req, EVENT_UNSPECIFIED, &context);
    context.idempotency_key = NULL; /* a key names one event, not a list */
    context.idempotency_key_size = 0;
    if (!decode_batch(gateway_thread_of(req)->decoder, req->entity.base, req->entity.len,
                      request_has_type(request_of(req), REQUEST_NDJSON), EVENTS_MAX, &context,
                      &faults, on_event, bulk)) {
        gateway_count_by(GATEWAY_events_rejected_total, faults.rows[0].code, 1);
        respond_faults(req, &faults, 0);
        return;
    }
    admission_charge(req, (int64_t)bulk->count - 1); /* the first is paid */
    if (bulk->waiting == 0)
        answer(bulk);
    else
        socket_hold_start(&bulk->hold, req);
}

static void set_fault(struct bulk_event *event, enum fault_code code, const char *field)
{
    event->code = code;
    (void)snprintf(event->field, sizeof(event->field), "%s", field);
}

static void on_event(void *ctx, size_t index, const struct decoded *decoded,
                     const struct faults *faults)
{
    struct bulk *bulk = ctx;
    struct bulk_event *event = &bulk->events[bulk->count];
    struct event recorded;

    if (index != bulk->count || bulk->count == bulk->count_max)
        return; /* decode_batch promises neither to happen */
    bulk->count++;
    *event = (struct bulk_event){.ticket = {.on_settled = on_settled}, .bulk = bulk};
    if (decoded == NULL) {
        set_fault(event, faults->rows[0].code, faults->rows[0].field);
        return;
    }
    memcpy(event->id, decoded->client_id, sizeof(event->id));
    recorded = decoded->event;
    if (!intake_admit(bulk->req, &recorded, &event->code)) {
        set_fault(event, event->code, "ad_id");
        return;
    }
    if (!id_set_add(bulk->ids, &recorded))
        set_fault(event, FAULT_ID_REUSE, "event_id");
    else if (bulk->is_recorded)
        record(bulk, event, &recorded);
    else
        event->is_accepted = true;
}

static void record(struct bulk *bulk, struct bulk_event *event, struct event *recorded)
{
    struct batcher *batcher = collector_batcher(gateway_thread_of(bulk->req)->collector);
    struct error err;

    if (batcher_add(batcher, recorded, &event->ticket, &err))
        bulk->waiting++;
    else
        event->code = intake_refusal(err.kind);
}

static void on_settled(struct ticket *ticket, enum batch_outcome outcome)
{
    struct bulk_event *event = H2O_STRUCT_FROM_MEMBER(struct bulk_event, ticket, ticket);
    struct bulk *bulk = event->bulk;

    event->is_accepted = batch_is_promised(outcome);
    event->code = FAULT_UNAVAILABLE;
    if (--bulk->waiting == 0) {
        socket_hold_end(&bulk->hold);
        answer(bulk);
    }
}

static bool is_ours(enum fault_code code)
{
    return fault_status(code) >= 500;
}

/* 202 when any is kept; 503 when the client may try the same again; 422 when that is pointless. */
static int status_of(const struct bulk *bulk)
{
    int status = 422;

    if (!bulk->is_recorded)
        return 200;
    for (size_t i = 0; i < bulk->count; i++) {
        if (bulk->events[i].is_accepted)
            return 202;
        if (is_ours(bulk->events[i].code))
            status = 503;
    }
    return status;
}

static void write_result(struct text *out, size_t index, const struct bulk_event *event)
{
    bool is_known = event->field[0] != '\0';
    const char *quote = is_known ? "\"" : "";

    text_addf(out, "%s{\"index\":%zu,\"event_id\":", index == 0 ? "" : ",", index);
    if (event->id[0] == '\0')
        text_add_str(out, "null");
    else
        text_addf(out, "\"%s\"", event->id);
    if (event->is_accepted)
        text_add_str(out, ",\"status\":\"accepted\",\"code\":null}");
    else
        text_addf(out, ",\"status\":\"rejected\",\"code\":\"%s\",\"field\":%s%s%s}",
                  fault_text(event->code), quote, is_known ? event->field : "null", quote);
}

/* Counts what was rejected; what was accepted the batcher has counted. */
static size_t count_accepted(const struct bulk *bulk)
{
    size_t accepted = 0;

    for (size_t i = 0; i < bulk->count; i++) {
        if (bulk->events[i].is_accepted)
            accepted++;
        else if (bulk->is_recorded)
            gateway_count_by(GATEWAY_events_rejected_total, bulk->events[i].code, 1);
    }
    if (!bulk->is_recorded)
        gateway_count(GATEWAY_events_validated_total, (int64_t)bulk->count);
    return accepted;
}

static void answer(struct bulk *bulk)
{
    AUTO(text_free) struct text out;
    h2o_req_t *req = bulk->req;
    size_t accepted = count_accepted(bulk);
    int status = status_of(bulk);

    text_init(&out, ANSWER_MAX_BYTES);
    text_addf(&out, "{\"accepted\":%zu,\"rejected\":%zu,\"results\":[", accepted,
              bulk->count - accepted);
    for (size_t i = 0; i < bulk->count; i++)
        write_result(&out, i, &bulk->events[i]);
    text_add_str(&out, "]}");
    if (!text_ok(&out)) {
        respond_fault(req, FAULT_INTERNAL, "", "no memory for the answer");
        return;
    }
    if (status == 503)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, H2O_STRLIT("1"));
    respond_json(req, status, h2o_strdup(&req->pool, out.bytes, out.size));
}

static void on_dispose(void *shared)
{
    struct bulk *bulk = shared;

    for (size_t i = 0; i < bulk->count; i++)
        batch_forget(&bulk->events[i].ticket);
    socket_hold_free(&bulk->hold);
}
