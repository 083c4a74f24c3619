/*
 * intake.h — from a request to an event that may be recorded
 *
 *   intake_context   what the request says besides its body: address, Idempotency-Key, time
 *   (decode)         the body
 *   intake_admit     is there such an ad, who is the visitor, what may be kept of the address
 *
 * Errors:  fault codes, for the client.
 * Threads: the loop thread of the request.
 */
#pragma once

#include "base/error.h"
#include "event/decode.h"
#include <h2o.h>

/* Texts in out are borrowed from the request. */
void intake_context(h2o_req_t *req, enum event_type type, struct decode_context *out);

/* The connection's address, or the rightmost hop that no trusted proxy has written. */
struct event_ip intake_client_address(h2o_req_t *req);

/* False: the event is not for us, *out_code says why. */
bool intake_admit(h2o_req_t *req, struct event *event, enum fault_code *out_code);

/* What a client is told when the event could not be taken. */
enum fault_code intake_refusal(enum error_kind kind);
