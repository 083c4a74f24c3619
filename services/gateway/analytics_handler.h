/*
 * analytics_handler.h — GET /api/v1/ads/analytics
 */
#pragma once

#include "http/routes.h"
#include "query_spec.h"

void analytics_get(h2o_req_t *req, const struct route_match *match);

/* What both analytics routes begin with: the query's clocks are set, the query string is checked,
 * and that the ad is there. False: a fault has been answered. */
bool analytics_parse(h2o_req_t *req, struct query_spec *out);
