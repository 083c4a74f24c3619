#include "listen.h"

#include "admission.h"
#include "gateway.h"
#include "http/server.h"
#include "settings.h"

enum { BODY_MAX = 1 << 20 }; /* of the largest route; each route has its own limit below it */

struct server *listen_open(struct gateway *gateway, struct error *err)
{
    const struct settings *settings = gateway->settings;
    const struct server_options options = {
        .host = settings->http_host,
        .port = (int)settings->http_port,
        .threads = (int)settings->worker_count,
        .connections_max = (int)settings->connections_max,
        .body_max_bytes = BODY_MAX,
        .request_timeout_ms = (int)settings->request_timeout_ms,
        .idle_timeout_ms = (int)settings->idle_timeout_ms,
        .drain_ms = (int)settings->drain_ms,
        .service = gateway->service,
        .routes = gateway_routes,
        .cors_origins = settings->cors_origins,
        .ctx = gateway,
        .on_admit = admission_check,
        .on_thread_start = gateway_on_thread_start,
        .on_turn = gateway_on_turn,
        .on_idle = gateway_on_idle,
        .on_thread_stop = gateway_on_thread_stop,
    };

    return server_open(&options, err);
}
