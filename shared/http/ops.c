#include "http/ops.h"

#include "base/auto.h"
#include "base/text.h"
#include "base/time_text.h"
#include "http/respond.h"
#include "http/route_table.h"
#include "http/server.h"
#include "runtime/build_info.h"
#include "runtime/metrics.h"
#include "runtime/service.h"
#include <assert.h>
#include <string.h>

enum {
    COMPONENTS_MAX = 32,
    ANSWER_MAX_BYTES = 64 * 1024,
    OPS_CONNECTIONS_MAX = 256,
    OPS_BODY_MAX_BYTES = 4 * 1024, /* nobody's; it is read, so that the connection goes on */
    OPS_REQUEST_TIMEOUT_MS = 10 * 1000,
    OPS_IDLE_TIMEOUT_MS = 60 * 1000,
    OPS_DRAIN_MS = 1000,
};

static struct service *shown; /* set before the first thread starts, then only read */

void ops_init(struct service *service)
{
    shown = service;
}

struct server *ops_open(struct service *service, const char *host, int port, struct error *err)
{
    static const struct route routes[] = {ROUTES_OPS, {.path = NULL}};
    const struct server_options options = {
        .host = host,
        .port = port,
        .threads = 1,
        .connections_max = OPS_CONNECTIONS_MAX,
        .body_max_bytes = OPS_BODY_MAX_BYTES,
        .request_timeout_ms = OPS_REQUEST_TIMEOUT_MS,
        .idle_timeout_ms = OPS_IDLE_TIMEOUT_MS,
        .drain_ms = OPS_DRAIN_MS,
        .service = service,
        .routes = routes,
    };

    ops_init(service);
    return server_open(&options, err);
}

/* The text moves into the request's pool; without memory the client is told so. */
static void answer_text(h2o_req_t *req, int status, const struct text *text)
{
    if (text_ok(text))
        respond_json(req, status, h2o_strdup(&req->pool, text->bytes, text->size));
    else
        respond_fault(req, FAULT_OVERLOADED, "", "no memory for the answer");
}

static void add_string(struct text *out, const char *name, const char *value)
{
    text_addf(out, "\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

static void add_process(struct text *out, h2o_req_t *req)
{
    const int64_t up_ms = server_thread_of(req)->at_ms - service_started_at_ms(shown);

    add_string(out, "service", service_name(shown));
    text_add_str(out, ",");
    add_string(out, "version", build_version());
    text_addf(out, ",\"uptime_s\":%lld", (long long)(up_ms > 0 ? up_ms / 1000 : 0));
}

enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_UNAVAILABLE };

static enum health judge(const struct service_component *components, size_t count)
{
    enum health health = service_is_ready(shown) ? HEALTH_OK : HEALTH_DEGRADED;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(components[i].state, "down") == 0 && components[i].is_critical)
            return HEALTH_UNAVAILABLE;
        if (health == HEALTH_OK && strcmp(components[i].state, "up") != 0)
            health = HEALTH_DEGRADED;
    }
    return health;
}

static void add_components(struct text *out, const struct service_component *components,
                           size_t count)
{
    text_add_str(out, ",\"components\":{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_add_str(out, ",");
        text_add_json_string(out, components[i].name, strlen(components[i].name));
        text_add_str(out, ":{");
        add_string(out, "state", components[i].state);
        text_add_str(out, ",");
        add_string(out, "detail", components[i].detail);
        text_add_str(out, "}");
    }
    text_add_str(out, "}");
}

void ops_health(h2o_req_t *req, const struct route_match *match)
{
    static const char *const names[] = {"ok", "degraded", "unavailable"};
    struct service_component components[COMPONENTS_MAX];
    const size_t count = service_components(shown, components, COMPONENTS_MAX);
    const enum health health = judge(components, count);
    AUTO(text_free) struct text answer;

    (void)match;
    text_init(&answer, ANSWER_MAX_BYTES);
    text_add_str(&answer, "{");
    add_string(&answer, "status", names[health]);
    text_add_str(&answer, ",");
    add_process(&answer, req);
    add_components(&answer, components, count);
    text_add_str(&answer, "}");
    answer_text(req, health == HEALTH_UNAVAILABLE ? 503 : 200, &answer);
}

void ops_live(h2o_req_t *req, const struct route_match *match)
{
    static const char live[] = "{\"status\":\"ok\"}";
    const char *stuck = NULL;

    (void)match;
    if (service_is_live(shown, server_thread_of(req)->now_ms, &stuck))
        respond_json(req, 200, h2o_iovec_init(live, sizeof(live) - 1));
    else
        respond_fault(req, FAULT_UNAVAILABLE, "", "%s does not turn any more", stuck);
}

void ops_ready(h2o_req_t *req, const struct route_match *match)
{
    static const char ready[] = "{\"status\":\"ready\"}";

    (void)match;
    if (service_is_ready(shown))
        respond_json(req, 200, h2o_iovec_init(ready, sizeof(ready) - 1));
    else
        respond_fault(req, FAULT_UNAVAILABLE, "", "%s",
                      service_running(shown) ? "starting: not every dependency has answered yet"
                                             : "draining");
}

void ops_metrics(h2o_req_t *req, const struct route_match *match)
{
    size_t size_bytes = 0;
    AUTO(auto_free) char *page = metrics_render(&size_bytes);

    (void)match;
    if (page == NULL)
        respond_fault(req, FAULT_OVERLOADED, "", "no memory for the answer");
    else
        respond_bytes(req, 200, "text/plain; version=0.0.4; charset=utf-8",
                      h2o_strdup(&req->pool, page, size_bytes));
}

static void add_routes(struct text *out, const struct route_table *table)
{
    const char *separator = "";

    text_add_str(out, ",\"routes\":[");
    for (size_t i = 0; i < route_table_path_count(table); i++) {
        const struct route_path *path = route_table_get_path(table, i);

        for (size_t k = 0; k < path->route_count; k++) {
            text_addf(out, "%s\"%s %s\"", separator, path->routes[k]->method, path->text);
            separator = ",";
        }
    }
    text_add_str(out, "]");
}

void ops_info(h2o_req_t *req, const struct route_match *match)
{
    char started_at[TIME_TEXT_SIZE];
    AUTO(text_free) struct text answer;

    (void)match;
    time_text_format(service_started_at_ms(shown), started_at);
    text_init(&answer, ANSWER_MAX_BYTES);
    text_add_str(&answer, "{\"name\":\"adledger\",");
    add_process(&answer, req);
    text_add_str(&answer, ",");
    add_string(&answer, "commit", build_commit());
    text_add_str(&answer, ",");
    add_string(&answer, "build", build_type());
    text_add_str(&answer, ",");
    add_string(&answer, "build_date", build_date());
    text_add_str(&answer, ",");
    add_string(&answer, "started_at", started_at);
    add_routes(&answer, server_routes(server_thread_of(req)->server));
    text_add_str(&answer, "}");
    answer_text(req, 200, &answer);
}
