/*
 * ads_handler.h — GET /api/v1/ads, /api/v1/ads/{id} and the earlier /ads
 *
 * All are answered from the loop's snapshot of the catalogue; archived ads are not shown. The ETag
 * is the catalogue's version: it changes with any ad.
 */
#pragma once

#include "http/routes.h"

void ads_list(h2o_req_t *req, const struct route_match *match);
void ads_get(h2o_req_t *req, const struct route_match *match);
void ads_list_legacy(h2o_req_t *req, const struct route_match *match);
