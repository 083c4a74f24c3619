/*
 * receipt_handler.h — GET /api/v1/events/{event_id}: where an event is now, and why
 *
 * Shape:   the answer's status is one of
 *
 *            counted    stored, and Redis has counted the message that brought it
 *            stored     a row in PostgreSQL; counted says no, or null where Redis does not answer
 *            invalid    stored, as traffic with a reason not to count as valid
 *            dead       set aside with its code
 *            accepted   kept in PostgreSQL's inbox, on its way to the stream
 *            404        none of these; the detail says until when what was published is stored
 *
 * Errors:  422 invalid_event_id, 400 for a timestamp that is none, 404 unknown_event, 503.
 */
#pragma once

#include "http/routes.h"

void receipt_get(h2o_req_t *req, const struct route_match *match);
