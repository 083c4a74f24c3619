/*
 * events_handler.h — a batch of events in one request, each judged by itself
 */
#pragma once

#include "http/routes.h"

enum { EVENTS_MAX = 1000 };

void events_post(h2o_req_t *req, const struct route_match *match); /* /api/v1/events */
/* The same checks, nothing is recorded: /api/v1/events/validate. */
void events_validate(h2o_req_t *req, const struct route_match *match);
