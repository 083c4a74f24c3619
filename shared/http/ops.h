/*
 * ops.h — /health*, /livez, /readyz, /metrics and /info: the same on all three services
 *
 * ROUTES_OPS is the rows for a route table; ops_open serves just them on a port of their own
 * (ingest, analytics).
 */
#pragma once

#include "base/error.h"
#include "http/routes.h"

struct server;
struct service;

/* Say once, before the first request, whose state the routes show. Borrowed for the life of the
 * process. */
void ops_init(struct service *service);

struct server *ops_open(struct service *service, const char *host, int port, struct error *err);

void ops_health(h2o_req_t *req, const struct route_match *match);
void ops_live(h2o_req_t *req, const struct route_match *match);
void ops_ready(h2o_req_t *req, const struct route_match *match);
void ops_metrics(h2o_req_t *req, const struct route_match *match);
void ops_info(h2o_req_t *req, const struct route_match *match);

/* In a struct route table. */
#define ROUTES_OPS                                                                                 \
    {"GET", "/health", ops_health, 0, ROUTE_OPS}, {"GET", "/health/live", ops_live, 0, ROUTE_OPS}, \
        {"GET", "/livez", ops_live, 0, ROUTE_OPS},                                                 \
        {"GET", "/health/ready", ops_ready, 0, ROUTE_OPS},                                         \
        {"GET", "/readyz", ops_ready, 0, ROUTE_OPS},                                               \
        {"GET", "/metrics", ops_metrics, 0, ROUTE_OPS},                                            \
    {                                                                                              \
        "GET", "/info", ops_info, 0, ROUTE_OPS                                                     \
    }
