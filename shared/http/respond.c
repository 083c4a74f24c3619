#include "http/respond.h"

#include "base/auto.h"
#include "base/text.h"
#include "http/cors.h"
#include "http/request.h"
#include "http/server.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TYPE_JSON       "application/json"
#define TYPE_PROBLEM    "application/problem+json"
#define EXPOSED_HEADERS "X-Request-Id, ETag, Location, Retry-After, RateLimit, RateLimit-Policy"

enum {
    RETRY_AFTER_S = 1,        /* when the caller has no better idea */
    INSTANCE_MAX_BYTES = 512, /* of the path that a problem repeats */
    PROBLEM_MAX_BYTES = 64 * 1024,
};

static void set_head(h2o_req_t *req, int status, const char *content_type, size_t body_size);
static void send_body(h2o_req_t *req, h2o_iovec_t body);
static void add_cors(h2o_req_t *req, const struct request *request);
static void write_problem(h2o_req_t *req, const struct faults *faults, struct text *out);

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {202, "Accepted"},
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].status == status)
            return rows[i].reason;
    }
    return "Unknown"; /* the phrase means nothing to a client */
}

void respond_json(h2o_req_t *req, int status, h2o_iovec_t body)
{
    respond_bytes(req, status, TYPE_JSON, body);
}

void respond_bytes(h2o_req_t *req, int status, const char *content_type, h2o_iovec_t body)
{
    set_head(req, status, content_type, body.len);
    send_body(req, body);
}

void respond_empty(h2o_req_t *req, int status)
{
    respond_bytes(req, status, NULL, h2o_iovec_init(NULL, 0));
}

/* Status line and headers. Without a length h2o would end the connection; 204 and 304 have no body,
 * hence no length. */
static void set_head(h2o_req_t *req, int status, const char *content_type, size_t body_size)
{
    const struct request *request = request_of(req);

    assert(request != NULL);
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.content_length = status == 204 || status == 304 ? SIZE_MAX : body_size;
    if (content_type != NULL)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, content_type,
                       strlen(content_type));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, NULL,
                          request->id.base, request->id.len);
    add_cors(req, request);
}

static void send_body(h2o_req_t *req, h2o_iovec_t body)
{
    static h2o_generator_t generator = {NULL, NULL};
    const bool has_body = body.len > 0 && !request_of(req)->is_head;

    h2o_start_response(req, &generator);
    h2o_send(req, &body, has_body ? 1 : 0, H2O_SEND_STATE_FINAL);
}

/* An answer that differs by origin says so even to who sends none: a cache may hold on to it. */
static void add_cors(h2o_req_t *req, const struct request *request)
{
    const struct cors *cors = server_cors(server_thread_of(req)->server);
    h2o_iovec_t allowed = cors_is_any(cors) ? h2o_iovec_init(H2O_STRLIT("*")) : request->origin;

    if (cors_differs(cors))
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_VARY, NULL, H2O_STRLIT("Origin"));
    if (request->origin.len == 0 || !cors_allows(cors, request->origin.base, request->origin.len))
        return;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ACCESS_CONTROL_ALLOW_ORIGIN, NULL,
                   allowed.base, allowed.len);
    h2o_add_header_by_str(&req->pool, &req->res.headers,
                          H2O_STRLIT("access-control-expose-headers"), 0, NULL,
                          H2O_STRLIT(EXPOSED_HEADERS));
}

static void add_retry_after(h2o_req_t *req, int retry_after_s)
{
    char *text = h2o_mem_alloc_pool(&req->pool, 16);
    const int size = snprintf(text, 16, "%d", retry_after_s);

    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_RETRY_AFTER, NULL, text, (size_t)size);
}

/* The body, in the request's pool; empty when there is no memory: then the status alone tells. */
static h2o_iovec_t set_problem(h2o_req_t *req, const struct faults *faults, int retry_after_s)
{
    AUTO(text_free) struct text problem;
    const int status = fault_status(faults->rows[0].code);
    h2o_iovec_t body = {NULL, 0};

    assert(faults->count > 0);
    text_init(&problem, PROBLEM_MAX_BYTES);
    write_problem(req, faults, &problem);
    if (text_ok(&problem))
        body = h2o_strdup(&req->pool, problem.bytes, problem.size);
    if (status == 429 || status == 503)
        add_retry_after(req, retry_after_s);
    set_head(req, status, TYPE_PROBLEM, body.len);
    return body;
}

void respond_faults(h2o_req_t *req, const struct faults *faults, int retry_after_s)
{
    h2o_iovec_t body = set_problem(req, faults, retry_after_s);

    send_body(req, body);
}

h2o_iovec_t respond_instead(h2o_req_t *req, const struct faults *faults)
{
    memset(&req->res.headers, 0, sizeof(req->res.headers)); /* the pool frees what they were */
    return set_problem(req, faults, RETRY_AFTER_S);
}

void respond_fault(h2o_req_t *req, enum fault_code code, const char *field, const char *format, ...)
{
    struct faults faults = {0};
    char detail[sizeof(faults.rows[0].detail)];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    fault_add(&faults, code, field, "%s", detail);
    respond_faults(req, &faults, RETRY_AFTER_S);
}

static void add_member(struct text *out, const char *name, const char *value)
{
    text_addf(out, ",\"%s\":", name);
    text_add_json_string(out, value, strlen(value));
}

static void add_instance(struct text *out, const h2o_req_t *req)
{
    size_t size = req->query_at == SIZE_MAX ? req->path.len : req->query_at;

    if (size > INSTANCE_MAX_BYTES)
        size = INSTANCE_MAX_BYTES;
    text_add_str(out, ",\"instance\":");
    text_add_json_string(out, req->path.base, size);
}

/* Faults of single fields; a fault of the whole body is the problem itself. */
static void add_errors(struct text *out, const struct faults *faults)
{
    const char *separator = "";

    text_add_str(out, ",\"errors\":[");
    for (size_t i = 0; i < faults->count && i < DECODE_FAULTS_MAX; i++) {
        const struct fault *fault = &faults->rows[i];

        if (fault->field[0] == '\0')
            continue;
        text_addf(out, "%s{\"field\":", separator);
        text_add_json_string(out, fault->field, strlen(fault->field));
        add_member(out, "code", fault_text(fault->code));
        add_member(out, "detail", fault->detail);
        text_add_str(out, "}");
        separator = ",";
    }
    text_add_str(out, "]");
}

static void write_problem(h2o_req_t *req, const struct faults *faults, struct text *out)
{
    const struct fault *first = &faults->rows[0];
    char detail[sizeof(first->field) + sizeof(first->detail)];
    const h2o_iovec_t id = request_of(req)->id;

    /* The earlier clients read no more than this of it: it must say which field is meant. */
    (void)snprintf(detail, sizeof(detail), "%s%s%s", first->field,
                   first->field[0] == '\0' ? "" : ": ", first->detail);
    text_addf(out, "{\"type\":\"/problems/%s\"", fault_text(first->code));
    add_member(out, "title", fault_title(first->code));
    text_addf(out, ",\"status\":%d", fault_status(first->code));
    add_member(out, "detail", detail);
    add_instance(out, req);
    add_member(out, "code", fault_text(first->code));
    text_add_str(out, ",\"request_id\":");
    text_add_json_string(out, id.base, id.len);
    add_errors(out, faults);
    add_member(out, "error", detail);
    text_add_str(out, "}");
}
