/*
 * legacy_analytics.h — GET /ads/analytics, in the shapes of the earlier trackers
 *
 *   ?adId=       {"totalClicks","uniqueClicks","impressions","ctr","hourlyClicks"}
 *   ?ad_id=      {"ad_id","clicks","ctr",...}
 *   bare         [{"ad_id","clicks","ctr"},...], or a map by LEGACY_ANALYTICS=map
 *   ?format=map  {"1":150,"2":98}
 *
 * timeframe, minutes, timezone and limit are those of the v1 route.
 */
#pragma once

#include "http/routes.h"

void analytics_get_legacy(h2o_req_t *req, const struct route_match *match);
