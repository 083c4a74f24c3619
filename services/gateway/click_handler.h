/*
 * click_handler.h — one click or impression, answered when it is kept
 */
#pragma once

#include "http/routes.h"

void click_post(h2o_req_t *req, const struct route_match *match);      /* /api/v1/ads/click */
void impression_post(h2o_req_t *req, const struct route_match *match); /* /api/v1/ads/impression */

/* The earlier clients' routes. */
void click_post_legacy(h2o_req_t *req, const struct route_match *match);      /* /ads/click */
void impression_post_legacy(h2o_req_t *req, const struct route_match *match); /* /ads/impression */
