#include "check.h"

#include "base/auto.h"
#include "client.h"
#include "http/respond.h"
#include "http/routes.h"
#include "http/server.h"
#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 100, SERVER_BODY_MAX = 1000 };

static void handle_echo(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    respond_bytes(req, 200, "text/plain", req->entity);
}

static void handle_param(h2o_req_t *req, const struct route_match *match)
{
    respond_bytes(req, 200, "text/plain", match->params[0]);
}

static void handle_created(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    respond_json(req, 201, h2o_iovec_init(H2O_STRLIT("{\"made\":true}")));
}

static void handle_empty(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    respond_empty(req, 204);
}

static const struct route routes[] = {
    {"POST", "/echo", handle_echo, BODY_MAX, ROUTE_BODY_JSON},
    {"POST", "/lines", handle_echo, BODY_MAX, ROUTE_BODY_JSON | ROUTE_BODY_NDJSON},
    {"GET", "/thing", handle_created, 0, 0},
    {"DELETE", "/thing", handle_empty, 0, 0},
    {"GET", "/things/{id}", handle_param, 0, 0},
    {.path = NULL},
};

static struct server *server_with_origins(const char *origins, struct error *err)
{
    const struct server_options options = {
        .host = "127.0.0.1",
        .threads = 1,
        .connections_max = 100,
        .body_max_bytes = SERVER_BODY_MAX,
        .request_timeout_ms = 5000,
        .idle_timeout_ms = 5000,
        .drain_ms = 1000,
        .routes = routes,
        .cors_origins = origins,
    };
    struct server *server = server_open(&options, err);

    assert_ok(server != NULL);
    return server;
}

TEST(answers_get_with_length_and_request_id)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;

    client_ask(server_port(server), "GET /thing HTTP/1.1\r\nHost: x\r\n\r\n", &answer);

    assert_int_equal(201, answer.status);
    assert_string_equal("{\"made\":true}", answer.body);
    assert_string_equal("application/json", answer_header(&answer, "Content-Type"));
    assert_int_equal(24, strlen(answer_header(&answer, "X-Request-Id")));
    assert_null(answer_header(&answer, "Server"));
}

TEST(answers_head_like_get_without_a_body)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    AUTO(client_close) struct client *client = client_open(server_port(server));
    struct answer answer;

    client_send(client, "HEAD /thing HTTP/1.1\r\nHost: x\r\n\r\n"
                        "GET /thing HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read_head(client, &answer);
    assert_int_equal(201, answer.status);
    assert_string_equal("13", answer_header(&answer, "Content-Length"));
    client_read(client, &answer);

    assert_int_equal(201, answer.status);
    assert_string_equal("{\"made\":true}", answer.body);
}

TEST(keeps_the_connection_after_an_answer_without_a_body)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    AUTO(client_close) struct client *client = client_open(server_port(server));
    struct answer answer;

    client_send(client, "DELETE /thing HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(client, &answer);
    assert_int_equal(204, answer.status);
    assert_null(answer_header(&answer, "Content-Length"));
    client_send(client, "GET /thing HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(client, &answer);

    assert_int_equal(201, answer.status);
}

TEST(ignores_the_query_when_it_looks_for_a_route)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;

    client_ask(server_port(server), "GET /thing?a=/x HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
    assert_int_equal(201, answer.status);
    client_ask(server_port(server), "GET /things/a?b HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
    assert_string_equal("a", answer.body);
}

TEST(decodes_the_segments_and_refuses_broken_ones)
{
    static const struct {
        const char *segment;
        int status;
        const char *body;
    } rows[] = {
        {"ad-001", 200, "ad-001"}, {"a%20b", 200, "a b"}, {"a%2Fb", 200, "a/b"}, {"%", 404, NULL},
        {"a%00b", 404, NULL},      {"%zz", 404, NULL},    {"a/b", 404, NULL},
    };
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;
    char request[100];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(request, sizeof(request), "GET /things/%s HTTP/1.1\r\nHost: x\r\n\r\n",
                 rows[i].segment);
        client_ask(server_port(server), request, &answer);
        assert_int_equal(rows[i].status, answer.status);
        if (rows[i].body != NULL)
            assert_string_equal(rows[i].body, answer.body);
    }
}

TEST(answers_a_problem_where_nothing_is)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;

    client_ask(server_port(server), "GET /nowhere?q=1 HTTP/1.1\r\nHost: x\r\n\r\n", &answer);

    assert_int_equal(404, answer.status);
    assert_string_equal("application/problem+json", answer_header(&answer, "Content-Type"));
    assert_true(answer_has(&answer, "\"code\":\"not_found\""));
    assert_true(answer_has(&answer, "\"instance\":\"/nowhere\""));
}

TEST(answers_405_with_allow_to_another_or_unknown_method)
{
    static const char *const methods[] = {"POST", "PATCH", "TRACE", "BREW", "get"};
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;
    char request[100];

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        snprintf(request, sizeof(request), "%s /thing HTTP/1.1\r\nHost: x\r\n\r\n", methods[i]);
        client_ask(server_port(server), request, &answer);
        assert_int_equal(405, answer.status);
        assert_string_equal("GET, HEAD, DELETE, OPTIONS", answer_header(&answer, "Allow"));
        assert_true(answer_has(&answer, "\"code\":\"method_not_allowed\""));
    }
}

TEST(takes_a_body_up_to_its_limit_and_413_beyond)
{
    static const struct {
        int size, status;
    } rows[] = {{0, 200}, {1, 200}, {BODY_MAX, 200}, {BODY_MAX + 1, 413}, {SERVER_BODY_MAX, 413}};
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;
    char request[SERVER_BODY_MAX + 200];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(request, sizeof(request),
                 "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%0*d", rows[i].size,
                 rows[i].size, 0);
        client_ask(server_port(server), request, &answer);
        assert_int_equal(rows[i].status, answer.status);
        if (rows[i].status == 200)
            assert_int_equal(rows[i].size, answer.body_size);
        else
            assert_true(answer_has(&answer, "\"code\":\"too_large\""));
    }
}

TEST(takes_a_chunked_body_of_exactly_the_limit)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;
    char request[300];

    snprintf(request, sizeof(request),
             "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
             "32\r\n%050d\r\n32\r\n%050d\r\n0\r\n\r\n",
             1, 2);
    client_ask(server_port(server), request, &answer);

    assert_int_equal(200, answer.status);
    assert_int_equal(BODY_MAX, answer.body_size);
}

TEST(refuses_a_body_over_the_servers_limit_unread)
{
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;

    client_ask(server_port(server),
               "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", &answer);

    assert_int_equal(413, answer.status);
    assert_true(answer_has(&answer, "\"code\":\"too_large\""));
    assert_non_null(answer_header(&answer, "X-Request-Id"));
    assert_string_equal("close", answer_header(&answer, "Connection"));
}

TEST(refuses_a_chunked_body_over_either_limit)
{
    static const struct {
        const char *size;
        int digits;
    } rows[] = {{"65", BODY_MAX + 1}, {"3e8", SERVER_BODY_MAX}, {"3ea", SERVER_BODY_MAX + 2}};
    AUTO(server_close) struct server *server = server_with_origins("", err);
    struct answer answer;
    char request[SERVER_BODY_MAX + 200];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(request, sizeof(request),
                 "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "%s\r\n%0*d\r\n0\r\n\r\n",
                 rows[i].size, rows[i].digits, 0);
        client_ask(server_port(server), request, &answer);
        assert_int_equal(413, answer.status);
        assert_string_equal("application/problem+json", answer_header(&answer, "Content-Type"));
        assert_true(answer_has(&answer, "\"code\":\"too_large\""));
    }
}

static int status_of_type(int port, const char *path, const char *type)
{
    struct answer answer;
    char request[300];

    snprintf(request, sizeof(request),
             "POST %s HTTP/1.1\r\nHost: x\r\n%s%s\r\nContent-Length: 2\r\n\r\n{}", path,
             type[0] == '\0' ? "X-None: x" : "Content-Type: ", type);
    client_ask(port, request, &answer);
    if (answer.status == 415)
        assert_non_null(strstr(answer_header(&answer, "Accept-Post"), "application/json"));
    return answer.status;
}

TEST(accepts_the_types_of_the_route_and_415_for_others)
{
    static const struct {
        const char *type;
        int echo, lines;
    } rows[] = {
        {"", 200, 200},
        {"application/json", 200, 200},
        {"Application/JSON; charset=utf-8", 200, 200},
        {"application/json ;charset=utf-8", 200, 200},
        {"text/plain;charset=UTF-8", 200, 200},
        {"application/x-www-form-urlencoded", 200, 200},
        {"application/x-ndjson", 415, 200},
        {"application/jsonx", 415, 415},
        {"text/html", 415, 415},
        {"application/xml", 415, 415},
    };
    AUTO(server_close) struct server *server = server_with_origins("", err);
    const int port = server_port(server);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(rows[i].echo, status_of_type(port, "/echo", rows[i].type));
        assert_int_equal(rows[i].lines, status_of_type(port, "/lines", rows[i].type));
    }
}

TEST(answers_a_preflight_of_an_allowed_origin)
{
    AUTO(server_close) struct server *server = server_with_origins("https://a.example", err);
    struct answer answer;

    client_ask(server_port(server),
               "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n"
               "Access-Control-Request-Method: POST\r\n\r\n",
               &answer);

    assert_int_equal(204, answer.status);
    assert_string_equal("https://a.example", answer_header(&answer, "Access-Control-Allow-Origin"));
    assert_string_equal("POST, OPTIONS", answer_header(&answer, "Access-Control-Allow-Methods"));
    assert_non_null(
        strstr(answer_header(&answer, "Access-Control-Allow-Headers"), "Idempotency-Key"));
    assert_string_equal("Origin", answer_header(&answer, "Vary"));
}

TEST(tells_a_strange_origin_nothing)
{
    AUTO(server_close) struct server *server = server_with_origins("https://a.example", err);
    struct answer answer;

    client_ask(server_port(server),
               "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n", &answer);
    assert_int_equal(204, answer.status);
    assert_string_equal("POST, OPTIONS", answer_header(&answer, "Allow"));
    assert_null(answer_header(&answer, "Access-Control-Allow-Methods"));
    assert_null(answer_header(&answer, "Access-Control-Allow-Origin"));

    client_ask(server_port(server),
               "GET /thing HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n", &answer);
    assert_null(answer_header(&answer, "Access-Control-Allow-Origin"));
}

TEST(tells_caches_that_the_answer_differs_by_origin)
{
    static const char *const rows[][2] = {{"https://a.example", "Origin"}, {"*", NULL}, {"", NULL}};
    struct answer answer;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(server_close) struct server *server = server_with_origins(rows[i][0], err);
        const char *vary = NULL;

        client_ask(server_port(server), "GET /thing HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
        vary = answer_header(&answer, "Vary");
        if (rows[i][1] == NULL)
            assert_null(vary);
        else
            assert_string_equal(rows[i][1], vary);
    }
}

TEST(lets_any_origin_read_by_a_star)
{
    AUTO(server_close) struct server *server = server_with_origins("*", err);
    struct answer answer;

    client_ask(server_port(server),
               "GET /nowhere HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n", &answer);

    assert_int_equal(404, answer.status);
    assert_string_equal("*", answer_header(&answer, "Access-Control-Allow-Origin"));
    assert_non_null(
        strstr(answer_header(&answer, "Access-Control-Expose-Headers"), "X-Request-Id"));
}

TESTS(RUN(answers_get_with_length_and_request_id), RUN(answers_head_like_get_without_a_body),
      RUN(keeps_the_connection_after_an_answer_without_a_body),
      RUN(ignores_the_query_when_it_looks_for_a_route),
      RUN(decodes_the_segments_and_refuses_broken_ones), RUN(answers_a_problem_where_nothing_is),
      RUN(answers_405_with_allow_to_another_or_unknown_method),
      RUN(takes_a_body_up_to_its_limit_and_413_beyond),
      RUN(takes_a_chunked_body_of_exactly_the_limit),
      RUN(refuses_a_body_over_the_servers_limit_unread),
      RUN(refuses_a_chunked_body_over_either_limit),
      RUN(accepts_the_types_of_the_route_and_415_for_others),
      RUN(answers_a_preflight_of_an_allowed_origin), RUN(tells_a_strange_origin_nothing),
      RUN(tells_caches_that_the_answer_differs_by_origin), RUN(lets_any_origin_read_by_a_star))
