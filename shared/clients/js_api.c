#include "clients/js_api.h"

#include "base/auto.h"
#include "clients/auto_nats.h"
#include "clients/bus.h"

#include <stdio.h>
#include <string.h>

enum { SUBJECT_MAX = 160, NOT_FOUND = 404, BAD_REQUEST = 400, NOT_ALLOWED = 401, FORBIDDEN = 403 };

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

static bool ask(struct bus *bus, const char *subject, const char *body, int request_ms,
                struct js_api_answer *out, struct error *err)
{
    AUTO(auto_free_message) natsMsg *message = NULL;
    AUTO(js_api_free) struct js_api_answer answer = {0};
    natsConnection *connection = bus_connection(bus);
    char full[SUBJECT_MAX];
    const json_t *refusal;
    natsStatus status;

    if (!bus_is_connected(bus))
        return error_set(err, ERROR_UNAVAILABLE, "nats: %s: not connected", subject);
    snprintf(full, sizeof(full), "$JS.API.%s", subject);
    status = natsConnection_RequestString(&message, connection, full, body, request_ms);
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
