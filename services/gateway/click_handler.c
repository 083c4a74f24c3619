/*
 * A click, from its request to its answer, all on the loop thread that owns the request:
 *
 *   collect     decode, admit, hand the event to its lane; the answer is prepared by now
 *   on_settled  the event's batch is kept, or its time is up: answer
 *   on_dispose  the client went away before: the event stays in its batch, nobody is answered
 */
#include "click_handler.h"

#include "analytics_json.h"
#include "base/time_text.h"
#include "batcher.h"
#include "collector.h"
#include "gateway.h"
#include "http/respond.h"
#include "intake.h"
#include "metrics.h"
#include "socket_hold.h"

#include <string.h>

/* How a route tells that it has recorded an event. */
struct receipt {
    enum event_type type;
    int status;
    const char *head;    /* up to the id's opening quote; NULL: no body */
    bool has_numeric_ad; /* an ad id that is a number is written as one */
};

struct click {
    struct ticket ticket;
    struct socket_hold hold;
    h2o_req_t *req;
    const struct receipt *receipt;
    h2o_iovec_t body;
};

static void collect(h2o_req_t *req, const struct receipt *receipt);
static void refuse(h2o_req_t *req, enum fault_code code);
static h2o_iovec_t write_receipt(h2o_req_t *req, const struct receipt *receipt,
                                 const struct decoded *decoded);
static void on_settled(struct ticket *ticket, enum batch_outcome outcome);
static void on_dispose(void *shared);

void click_post(h2o_req_t *req, const struct route_match *match)
{
    static const struct receipt receipt = {
        EVENT_CLICK, 202, "{\"message\":\"Click recorded\",\"click_id\":\"", false};

    (void)match;
    collect(req, &receipt);
}

void impression_post(h2o_req_t *req, const struct route_match *match)
{
    static const struct receipt receipt = {
        EVENT_IMPRESSION, 202, "{\"message\":\"Impression recorded\",\"event_id\":\"", false};

    (void)match;
    collect(req, &receipt);
}

void click_post_legacy(h2o_req_t *req, const struct route_match *match)
{
    static const struct receipt receipt = {EVENT_CLICK, 202,
                                           "{\"message\":\"Click recorded\",\"click_id\":\"", true};

    (void)match;
    collect(req, &receipt);
}

void impression_post_legacy(h2o_req_t *req, const struct route_match *match)
{
    static const struct receipt receipt = {EVENT_IMPRESSION, 204, NULL, true};

    (void)match;
    collect(req, &receipt);
}

static void collect(h2o_req_t *req, const struct receipt *receipt)
{
    struct gateway_thread *thread = gateway_thread_of(req);
    struct decode_context context;
    struct decoded decoded;
    struct faults faults = {0};
    enum fault_code code;
    struct error err;
    struct click *click;

    intake_context(req, receipt->type, &context);
    if (!decode_event(thread->decoder, req->entity.base, req->entity.len, &context, &decoded,
                      &faults)) {
        gateway_count_by(GATEWAY_events_rejected_total, faults.rows[0].code, 1);
        respond_faults(req, &faults, 0);
        return;
    }
    if (!intake_admit(req, &decoded.event, &code)) {
        refuse(req, code);
        return;
    }
    click = h2o_mem_alloc_shared(&req->pool, sizeof(*click), on_dispose);
    *click = (struct click){.ticket = {.on_settled = on_settled}, .req = req, .receipt = receipt};
    if (!batcher_add(collector_batcher(thread->collector), &decoded.event, &click->ticket, &err)) {
        refuse(req, intake_refusal(err.kind));
        return;
    }
    if (receipt->head != NULL)
        click->body = write_receipt(req, receipt, &decoded);
    socket_hold_start(&click->hold, req);
}

static void refuse(h2o_req_t *req, enum fault_code code)
{
    gateway_count_by(GATEWAY_events_rejected_total, code, 1);
    respond_fault(req, code, code == FAULT_UNKNOWN_AD ? "ad_id" : "", "%s", fault_title(code));
}

static char *put(char *out, const char *text, size_t size_bytes)
{
    memcpy(out, text, size_bytes);
    return out + size_bytes;
}

/* Every part is of a known alphabet: nothing needs an escape. */
static h2o_iovec_t write_receipt(h2o_req_t *req, const struct receipt *receipt,
                                 const struct decoded *decoded)
{
    enum { RECEIPT_MAX = 320 };
    const struct event *event = &decoded->event;
    bool is_number =
        receipt->has_numeric_ad && json_is_legacy_number(event->ad_id, event->ad_id_size);
    size_t quote_size = is_number ? 0 : 1;
    char *text = h2o_mem_alloc_pool(&req->pool, RECEIPT_MAX);
    char *end = put(text, receipt->head, strlen(receipt->head));
    char at[TIME_TEXT_SIZE];

    time_text_format(event->event_at_ms, at);
    end = put(end, decoded->client_id, strlen(decoded->client_id));
    end = put(end, H2O_STRLIT("\",\"ad_id\":"));
    end = put(end, "\"", quote_size);
    end = put(end, event->ad_id, event->ad_id_size);
    end = put(end, "\"", quote_size);
    end = put(end, H2O_STRLIT(",\"timestamp\":\""));
    end = put(end, at, strlen(at));
    end = put(end, H2O_STRLIT("\",\"processing\":\"asynchronous\"}"));
    return h2o_iovec_init(text, (size_t)(end - text));
}

static void on_settled(struct ticket *ticket, enum batch_outcome outcome)
{
    struct click *click = H2O_STRUCT_FROM_MEMBER(struct click, ticket, ticket);

    socket_hold_end(&click->hold);
    if (!batch_is_promised(outcome))
        refuse(click->req, FAULT_UNAVAILABLE);
    else if (click->receipt->head != NULL)
        respond_json(click->req, click->receipt->status, click->body);
    else
        respond_empty(click->req, click->receipt->status);
}

static void on_dispose(void *shared)
{
    struct click *click = shared;

    batch_forget(&click->ticket);
    socket_hold_free(&click->hold);
}
