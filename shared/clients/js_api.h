/*
 * js_api.h — a request to JetStream's API and its answer, as JSON; a message and its ack
 *
 * Why:     libnats 3.4.1 knows neither first_seq nor named consumers, and its doubles would lose
 *          digits of sequence numbers beyond 2^53: requests are put together as text, exactly.
 * Errors:  ERROR_INVALID: there is no such stream, consumer or message (404). ERROR_INTERNAL: the
 *          request is refused (400, 401, 403). ERROR_UNAVAILABLE: everything else, a cluster that
 *          has not enough servers yet (10005), which the server calls a bad request, and while the
 *          bus's breaker is open.
 * Memory:  the answer is the caller's: AUTO(js_api_free).
 */
#pragma once

#include "base/error.h"
#include <jansson.h>
#include <nats/nats.h>
#include <stdint.h>

struct bus;

/* JetStream's own numbers for what happened; 0: it said nothing. */
enum {
    JS_API_NO_PEERS = 10005,
    JS_API_STREAM_NAME_IN_USE = 10058,
    JS_API_WRONG_LAST_SEQUENCE = 10071, /* somebody else has written in between */
};

struct js_api_answer {
    json_t *json;
    int code; /* JetStream's err_code of a refusal */
};

/* subject is what follows "$JS.API."; body may be "". Waits request_ms at most. */
MUST_CHECK bool js_api_request(struct bus *bus, const char *subject, const char *body,
                               int request_ms, struct js_api_answer *out, struct error *err);

enum { JS_API_SUBJECT_SIZE = 160, JS_API_BODY_SIZE = 512 };
struct js_api_call {
    char subject[JS_API_SUBJECT_SIZE];
    char body[JS_API_BODY_SIZE];
};

/*
 * A hedged request, for what a cluster may give to a server that died a moment ago: while no answer
 * has come, or only refusals that may pass (ERROR_UNAVAILABLE), another attempt goes out every
 * delay_ms, and the first other answer to any of them counts. What is asked for may be done more
 * than once, and must not collide.
 */
struct js_api_hedge {
    int delay_ms;          /* more than 0 */
    unsigned attempts_max; /* the last one waits for the rest of the time */
    /* Fills in attempt 0, 1, ...; called on the caller's thread. ctx is borrowed. */
    void (*write)(void *ctx, unsigned attempt, struct js_api_call *out);
    void *ctx;
};
/* As js_api_request; request_ms bounds the whole, and an inbox that ends (bus_inbox.h, Limits). */
MUST_CHECK bool js_api_request_hedged(struct bus *bus, const struct js_api_hedge *hedge,
                                      int request_ms, struct js_api_answer *out, struct error *err);
void js_api_free(struct js_api_answer *answer);

struct js_api_ack {
    uint64_t seq;
    int code; /* JetStream's err_code of a refusal; 0: stored, or nobody has answered */
};

/* Publishes and waits for the ack, the bus's request_ms at most. options come from
 * jsPubOptions_Init; MaxWait is set here. ERROR_UNAVAILABLE: not stored, since the server refused
 * it (code) or nothing was sent. ERROR_UNCERTAIN: sent, and no ack says that it is stored. To the
 * breaker a refusal is an answer. */
MUST_CHECK bool js_api_publish(struct bus *bus, const char *subject, const char *body,
                               jsPubOptions *options, struct js_api_ack *out, struct error *err);

/* A member as an unsigned number; 0 when it is not there. */
uint64_t js_api_number(const json_t *object, const char *key);
