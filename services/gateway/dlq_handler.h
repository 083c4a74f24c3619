/*
 * dlq_handler.h — /api/v1/dlq: the dead letters, and their way back
 *
 *   GET    /api/v1/dlq          newest first; limit, cursor, code, partition, state=open|replayed
 *   GET    /api/v1/dlq/{id}     with the original bytes, and the event when they can be read
 *   DELETE /api/v1/dlq/{id}     purges one: its event is then nowhere
 *   POST   /api/v1/dlq/replay   {"ids":[...]} or {"code":"unknown_ad","limit":1000}, "again":true
 *
 * A replay puts the letters into PostgreSQL's inbox, so that they come back through the stream like
 * every other event, and are stored or are dead once more.
 * Errors: 400, 404 unknown_letter, 422, 503.
 */
#pragma once

#include "http/routes.h"

void dlq_list(h2o_req_t *req, const struct route_match *match);
void dlq_get(h2o_req_t *req, const struct route_match *match);
void dlq_delete(h2o_req_t *req, const struct route_match *match);
void dlq_replay(h2o_req_t *req, const struct route_match *match);
