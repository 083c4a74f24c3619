/*
 * A request, stop by stop, all on its loop thread:
 *
 *   on_request   remembers the start, finds the path and the method's row
 *   (on_admit)   the server's owner refuses who may not, or asks too often
 *   check_body   refuses what is too large or of another type
 *   (handler)    answers, now or later
 *   on_refusal   instead of all that: h2o does not read a body over the server's own limit
 *   on_done      counts and times it, when the last byte is written or the client is gone
 */
#include "http/routes.h"

#include "http/cors.h"
#include "http/http_metrics.h"
#include "http/query_string.h"
#include "http/request.h"
#include "http/respond.h"
#include "http/route_table.h"
#include "http/server.h"
#include "runtime/clock.h"
#include <string.h>

#define ALLOWED_HEADERS                                                                            \
    "Content-Type, Authorization, X-API-Key, Idempotency-Key, If-Match, X-Request-Id"
#define TYPES_JSON "application/json, text/plain, application/x-www-form-urlencoded"

/* The path of a request that meets none: counted in the metrics' last row. */
#define NO_PATH SIZE_MAX

enum { TURN_LONG_MS = 200 };

struct route_handler {
    h2o_handler_t super;
    const struct route_table *table;
};

struct request_logger {
    h2o_logger_t super;
    const struct route_table *table;
    struct http_metrics *metrics;
};

static int on_request(h2o_handler_t *handler, h2o_req_t *req);
static bool decode_params(h2o_req_t *req, const h2o_iovec_t *segments, struct route_match *match);
static bool check_body(h2o_req_t *req, const struct request *request);
static void on_refusal(h2o_filter_t *filter, h2o_req_t *req, h2o_ostream_t **slot);
static void on_done(h2o_logger_t *logger, h2o_req_t *req);

static void add_logger(h2o_pathconf_t *path, const struct route_table *table,
                       struct http_metrics *metrics)
{
    struct request_logger *logger = (void *)h2o_create_logger(path, sizeof(*logger));

    logger->super.log_access = on_done;
    logger->table = table;
    logger->metrics = metrics;
}

void routes_register(h2o_hostconf_t *host, const struct route_table *table,
                     struct http_metrics *metrics)
{
    h2o_pathconf_t *path = h2o_config_register_path(host, "/", 0);
    struct route_handler *handler = (void *)h2o_create_handler(path, sizeof(*handler));

    handler->super.on_req = on_request;
    handler->table = table;
    add_logger(path, table, metrics);
    /* What h2o refuses before it comes to a handler is bound to the fallback path. */
    h2o_create_filter(&host->fallback_path, sizeof(h2o_filter_t))->on_setup_ostream = on_refusal;
    add_logger(&host->fallback_path, table, metrics);
}

static bool is_method(const h2o_req_t *req, const char *method)
{
    return h2o_memis(req->method.base, req->method.len, method, strlen(method));
}

static void answer_options(h2o_req_t *req, const struct request *request,
                           const struct route_path *path)
{
    h2o_headers_t *headers = &req->res.headers;
    const struct cors *cors = server_cors(server_thread_of(req)->server);

    h2o_add_header(&req->pool, headers, H2O_TOKEN_ALLOW, NULL, path->allow, path->allow_size);
    if (request->origin.len > 0 && cors_allows(cors, request->origin.base, request->origin.len)) {
        h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("access-control-allow-methods"), 0,
                              NULL, path->allow, path->allow_size);
        h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("access-control-allow-headers"), 0,
                              NULL, H2O_STRLIT(ALLOWED_HEADERS));
        h2o_add_header_by_str(&req->pool, headers, H2O_STRLIT("access-control-max-age"), 0, NULL,
                              H2O_STRLIT("600"));
    }
    respond_empty(req, 204);
}

static void refuse_method(h2o_req_t *req, const struct route_path *path)
{
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, path->allow,
                   path->allow_size);
    respond_fault(req, FAULT_METHOD_NOT_ALLOWED, "", "%.*s is not taken here; allowed: %s",
                  (int)(req->method.len < 32 ? req->method.len : 32), req->method.base,
                  path->allow);
}

static void refuse_path(h2o_req_t *req)
{
    respond_fault(req, FAULT_NOT_FOUND, "", "there is nothing at this path");
}

/*
 * h2o answers all the requests that a connection has sent ahead before it turns to the others, and
 * thousands of them fit into a socket's buffers: who makes a turn so long gets this answer, and the
 * connection ends.
 */
static void end_if_turn_is_long(h2o_req_t *req, const struct request *request)
{
    if (request->started_us / 1000 - server_thread_of(req)->now_ms > TURN_LONG_MS)
        req->http1_is_persistent = 0;
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    const struct route_table *table = ((struct route_handler *)handler)->table;
    struct request *request = request_new(req, clock_now_us());
    const size_t path_size = req->query_at == SIZE_MAX ? req->path.len : req->query_at;
    h2o_iovec_t segments[ROUTE_PARAMS_MAX] = {{NULL, 0}};
    const struct route_path *path = route_table_find(table, req->path.base, path_size, segments);
    const struct route *route;

    server_thread_refresh(server_thread_of(req));
    end_if_turn_is_long(req, request);
    if (path == NULL) {
        request->path_index = NO_PATH;
        refuse_path(req);
        return 0;
    }
    request->path_index = path->index;
    route = route_path_find_method(path, req->method.base, req->method.len);
    if (route == NULL) {
        if (is_method(req, "OPTIONS"))
            answer_options(req, request, path);
        else
            refuse_method(req, path);
        return 0;
    }
    request->match.route = route;
    if (path->is_template && !decode_params(req, segments, &request->match))
        refuse_path(req);
    else if (server_admits(req, route) && check_body(req, request))
        route->handle(req, &request->match);
    return 0;
}

static bool decode_params(h2o_req_t *req, const h2o_iovec_t *segments, struct route_match *match)
{
    for (size_t i = 0; i < ROUTE_PARAMS_MAX && segments[i].base != NULL; i++) {
        h2o_iovec_t *param = &match->params[i];

        param->base = h2o_mem_alloc_pool(&req->pool, segments[i].len + 1);
        if (!query_string_decode(segments[i].base, segments[i].len, param->base, &param->len))
            return false;
        param->base[param->len] = '\0';
    }
    return true;
}

static bool is_type_accepted(const struct request *request, unsigned flags)
{
    if ((flags & (ROUTE_BODY_JSON | ROUTE_BODY_NDJSON)) == 0 || request->content_type.len == 0)
        return true;
    if ((flags & ROUTE_BODY_NDJSON) != 0 && request_has_type(request, REQUEST_NDJSON))
        return true;
    return request_has_type(request, "application/json") ||
           request_has_type(request, "text/plain") ||
           request_has_type(request, "application/x-www-form-urlencoded");
}

static bool check_body(h2o_req_t *req, const struct request *request)
{
    const struct route *route = request->match.route;

    if (route->body_max_bytes == 0)
        return true;
    if (req->entity.len > route->body_max_bytes) {
        respond_fault(req, FAULT_TOO_LARGE, "",
                      "the body has %zu bytes; at most %zu are taken here", req->entity.len,
                      route->body_max_bytes);
        return false;
    }
    if (request->is_encoded) {
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("accept-encoding"), 0, NULL,
                              H2O_STRLIT("identity"));
        respond_fault(req, FAULT_UNSUPPORTED_MEDIA_TYPE, "", "compressed bodies are not taken");
        return false;
    }
    if (!is_type_accepted(request, route->flags)) {
        const char *types =
            (route->flags & ROUTE_BODY_NDJSON) != 0 ? TYPES_JSON ", " REQUEST_NDJSON : TYPES_JSON;

        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("accept-post"), 0, NULL,
                              types, strlen(types));
        respond_fault(req, FAULT_UNSUPPORTED_MEDIA_TYPE, "", "accepted: %s, or no type", types);
        return false;
    }
    return true;
}

/* Takes the place of what h2o would have sent. */
struct refusal {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_refusal(h2o_ostream_t *stream, h2o_req_t *req, h2o_iovec_t *bufs, size_t count,
                         h2o_send_state_t state)
{
    struct refusal *self = (struct refusal *)stream;

    (void)bufs;
    h2o_ostream_send_next(&self->super, req, &self->body, count > 0 ? 1 : 0, state);
}

static void on_refusal(h2o_filter_t *filter, h2o_req_t *req, h2o_ostream_t **slot)
{
    struct faults faults = {0};
    struct request *request;
    struct refusal *refusal;

    (void)filter;
    if (req->res.status == 413) {
        request = request_new(req, clock_now_us());
        request->path_index = NO_PATH;
        fault_add(&faults, FAULT_TOO_LARGE, "", "the body is larger than anything taken here");
        refusal = (struct refusal *)h2o_add_ostream(req, sizeof(*refusal), slot);
        refusal->super.do_send = send_refusal;
        refusal->body = respond_instead(req, &faults);
        slot = &refusal->super.next;
    }
    h2o_setup_next_ostream(req, slot);
}

/* res.status stays 0 when the client goes away before its answer. */
static void on_done(h2o_logger_t *logger, h2o_req_t *req)
{
    const struct request_logger *self = (const struct request_logger *)logger;
    const struct request *request = request_of(req);
    size_t path_index = route_table_path_count(self->table);
    int64_t took_us = -1;

    if (request != NULL) {
        path_index = request->path_index < path_index ? request->path_index : path_index;
        took_us = clock_now_us() - request->started_us;
    }
    http_metrics_answered(self->metrics, path_index, req->res.status, took_us);
}
