/*
 * Every address of the gateway. A body's limit stands in its row.
 */
#include "http/routes.h"

#include "ads_handler.h"
#include "analytics_handler.h"
#include "audit_handler.h"
#include "click_handler.h"
#include "dlq_handler.h"
#include "events_handler.h"
#include "gateway.h"
#include "http/ops.h"
#include "legacy_analytics.h"
#include "openapi_handler.h"
#include "receipt_handler.h"

enum { EVENT_BODY_MAX = 4 << 10, EVENTS_BODY_MAX = 1 << 20, REPLAY_BODY_MAX = 64 << 10 };

const struct route gateway_routes[] = {
    {"POST", "/api/v1/ads/click", click_post, EVENT_BODY_MAX, ROUTE_BODY_JSON | ROUTE_COLLECT},
    {"POST", "/api/v1/ads/impression", impression_post, EVENT_BODY_MAX,
     ROUTE_BODY_JSON | ROUTE_COLLECT},
    {"POST", "/api/v1/events", events_post, EVENTS_BODY_MAX,
     ROUTE_BODY_JSON | ROUTE_BODY_NDJSON | ROUTE_COLLECT},
    {"POST", "/api/v1/events/validate", events_validate, EVENTS_BODY_MAX,
     ROUTE_BODY_JSON | ROUTE_BODY_NDJSON | ROUTE_COLLECT},

    {"GET", "/api/v1/ads", ads_list, 0, 0},
    {"GET", "/api/v1/ads/{id}", ads_get, 0, 0},
    {"GET", "/api/v1/ads/analytics", analytics_get, 0, ROUTE_READ},

    /* Proof. */
    {"GET", "/api/v1/events/{event_id}", receipt_get, 0, ROUTE_SERVER},
    {"GET", "/api/v1/audit", audit_get, 0, ROUTE_SERVER},
    {"GET", "/api/v1/dlq", dlq_list, 0, ROUTE_ADMIN},
    {"GET", "/api/v1/dlq/{id}", dlq_get, 0, ROUTE_ADMIN},
    {"DELETE", "/api/v1/dlq/{id}", dlq_delete, 0, ROUTE_ADMIN},
    {"POST", "/api/v1/dlq/replay", dlq_replay, REPLAY_BODY_MAX, ROUTE_BODY_JSON | ROUTE_ADMIN},

    /* The earlier clients' routes. */
    {"POST", "/ads/click", click_post_legacy, EVENT_BODY_MAX, ROUTE_BODY_JSON | ROUTE_COLLECT},
    {"POST", "/ads/impression", impression_post_legacy, EVENT_BODY_MAX,
     ROUTE_BODY_JSON | ROUTE_COLLECT},
    {"GET", "/ads", ads_list_legacy, 0, 0},
    {"GET", "/ads/analytics", analytics_get_legacy, 0, ROUTE_READ},

    {"GET", "/swagger/swagger.yaml", openapi_get, 0, 0},
    ROUTES_OPS,
    {.path = NULL},
};
