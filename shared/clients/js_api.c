#include "clients/js_api.h"

#include "base/auto.h"
#include "clients/auto_nats.h"
#include "clients/bus_inbox.h"
#include "runtime/clock.h"

#include <stdio.h>
#include <string.h>

#define PREFIX "$JS.API."

enum { FULL_SIZE = sizeof(PREFIX) + JS_API_SUBJECT_SIZE };
enum { NOT_FOUND = 404, BAD_REQUEST = 400, NOT_ALLOWED = 401, FORBIDDEN = 403 };

static void free_ack(jsPubAck **ack)
{
    jsPubAck_Destroy(*ack);
    *ack = NULL;
}

void js_api_free(struct js_api_answer *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
}

uint64_t js_api_number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* Servers that are missing may come: then it is no fault of the request. */
static enum error_kind kind_of(json_int_t code, int err_code)
{
    if (err_code == JS_API_NO_PEERS)
        return ERROR_UNAVAILABLE;
    switch (code) {
    case NOT_FOUND:
        return ERROR_INVALID;
    case BAD_REQUEST:
    case NOT_ALLOWED:
    case FORBIDDEN:
        return ERROR_INTERNAL;
    default:
        return ERROR_UNAVAILABLE;
    }
}

static bool refuse(const json_t *refusal, const char *subject, int *out_code, struct error *err)
{
    const char *text = json_string_value(json_object_get(refusal, "description"));

    *out_code = (int)json_integer_value(json_object_get(refusal, "err_code"));
    return error_set(err, kind_of(json_integer_value(json_object_get(refusal, "code")), *out_code),
                     "nats: %s: %s (%d)", subject, text == NULL ? "refused" : text, *out_code);
}

/* What came of a call; status: of the waiting. */
static bool read_answer(natsStatus status, const natsMsg *message, const char *subject,
                        struct js_api_answer *out, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer answer = {0};
    const json_t *refusal;

    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: %s", subject,
                         natsStatus_GetText(status));
    answer.json =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    if (answer.json == NULL)
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: unreadable answer", subject);
    refusal = json_object_get(answer.json, "error");
    if (refusal != NULL)
        return refuse(refusal, subject, &out->code, err);
    out->json = TAKE(answer.json);
    return true;
}

static bool ask(struct bus *bus, const char *subject, const char *body, int request_ms,
                struct js_api_answer *out, struct error *err)
{
    AUTO(auto_free_message) natsMsg *message = NULL;
    natsConnection *connection = bus_connection(bus);
    char full[FULL_SIZE];
    natsStatus status;

    if (!bus_is_connected(bus))
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: not connected", subject);
    snprintf(full, sizeof(full), PREFIX "%s", subject);
    status = natsConnection_RequestString(&message, connection, full, body, request_ms);
    return read_answer(status, message, subject, out, err);
}

bool js_api_request(struct bus *bus, const char *subject, const char *body, int request_ms,
                    struct js_api_answer *out, struct error *err)
{
    struct breaker_permit permit;
    bool is_answered;

    out->code = 0;
    if (!bus_ask(bus, &permit))
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: the breaker is open", subject);
    is_answered = ask(bus, subject, body, request_ms, out, err);
    bus_tell(bus, &permit, is_answered ? ERROR_NONE : err->kind);
    return is_answered;
}

/* NATS_OK: *out is the answer, or *err a refusal that stays. NATS_TIMEOUT: neither has come. */
static natsStatus hear(natsSubscription *answers, int64_t until_ms, const char *subject,
                       struct js_api_answer *out, struct error *err)
{
    for (;;) {
        AUTO(auto_free_message) natsMsg *message = NULL;
        int64_t left_ms = until_ms - clock_now_ms();
        natsStatus status = natsSubscription_NextMsg(&message, answers, left_ms > 0 ? left_ms : 0);

        if (status != NATS_OK || read_answer(status, message, subject, out, err) ||
            err->kind != ERROR_UNAVAILABLE)
            return status;
    }
}

static natsStatus attempt(struct bus *bus, const struct js_api_call *call, const char *inbox)
{
    char full[FULL_SIZE];

    if (!bus_is_connected(bus))
        return NATS_CONNECTION_DISCONNECTED;
    snprintf(full, sizeof(full), PREFIX "%s", call->subject);
    return natsConnection_PublishRequestString(bus_connection(bus), full, inbox, call->body);
}

static bool subscribe(struct bus *bus, natsInbox **out_name, struct bus_inbox *out_answers,
                      struct error *err)
{
    natsStatus status = natsInbox_Create(out_name);

    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "nats: inbox: %s", natsStatus_GetText(status));
    if (!bus_is_connected(bus))
        return error_set(err, ERROR_UNAVAILABLE, "nats: inbox: not connected");
    return bus_inbox_open(bus, *out_name, out_answers, err);
}

static bool ask_hedged(struct bus *bus, const struct js_api_hedge *hedge, int request_ms,
                       struct bus_inbox *answers, struct js_api_answer *out, struct error *err)
{
    AUTO(auto_free_inbox) natsInbox *inbox = NULL;
    int64_t deadline_ms = clock_now_ms() + request_ms;
    struct error refusal = {.kind = ERROR_NONE}; /* one that may pass */
    struct js_api_call call = {0};
    natsStatus status = NATS_OK;

    if (!subscribe(bus, &inbox, answers, err))
        return false;
    for (unsigned i = 0; i < hedge->attempts_max; i++) {
        bool is_last = i + 1 == hedge->attempts_max;
        int64_t until_ms = clock_now_ms() + hedge->delay_ms;

        hedge->write(hedge->ctx, i, &call);
        status = attempt(bus, &call, inbox);
        if (status == NATS_OK)
            status = hear(answers->subscription,
                          is_last || until_ms > deadline_ms ? deadline_ms : until_ms, call.subject,
                          out, &refusal);
        if (status != NATS_TIMEOUT || clock_now_ms() >= deadline_ms)
            break;
    }
    if (out->json != NULL)
        return true;
    if (refusal.kind == ERROR_NONE)
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: %s", call.subject,
                         natsStatus_GetText(status));
    *err = refusal;
    return false;
}

/* The inbox ends last: that may have to wait for room, which is no fault of the server's. */
bool js_api_request_hedged(struct bus *bus, const struct js_api_hedge *hedge, int request_ms,
                           struct js_api_answer *out, struct error *err)
{
    AUTO(bus_inbox_close) struct bus_inbox answers = {0};
    struct breaker_permit permit;
    bool is_answered;

    out->code = 0;
    if (!bus_ask(bus, &permit))
        return error_set(err, ERROR_UNAVAILABLE, "nats: the breaker is open");
    is_answered = ask_hedged(bus, hedge, request_ms, &answers, out, err);
    bus_tell(bus, &permit, is_answered ? ERROR_NONE : err->kind);
    return is_answered;
}

static bool publish(struct bus *bus, const char *subject, const char *body, jsPubOptions *options,
                    struct js_api_ack *out, struct error *err)
{
    AUTO(free_ack) jsPubAck *ack = NULL;
    jsCtx *jetstream = bus_jetstream(bus);
    jsErrCode code = 0;
    natsStatus status;

    if (!bus_is_connected(bus))
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: not connected", subject);
    options->MaxWait = bus_request_ms(bus);
    status = js_Publish(&ack, jetstream, subject, body, (int)strlen(body), options, &code);
    out->code = (int)code;
    if (status != NATS_OK)
        return error_set(err, out->code != 0 ? ERROR_UNAVAILABLE : ERROR_UNCERTAIN,
                         "nats: %s: %s (%d)", subject, natsStatus_GetText(status), out->code);
    out->seq = ack->Sequence;
    return out->seq > 0 ||
           error_set(err, ERROR_UNCERTAIN, "nats: %s: the ack is of nothing stored", subject);
}

bool js_api_publish(struct bus *bus, const char *subject, const char *body, jsPubOptions *options,
                    struct js_api_ack *out, struct error *err)
{
    struct breaker_permit permit;
    bool is_stored;

    *out = (struct js_api_ack){0};
    if (!bus_ask(bus, &permit))
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: the breaker is open", subject);
    is_stored = publish(bus, subject, body, options, out, err);
    bus_tell(bus, &permit, is_stored || out->code != 0 ? ERROR_NONE : err->kind);
    return is_stored;
}
