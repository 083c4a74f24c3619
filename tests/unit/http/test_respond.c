#include "check.h"

#include "base/auto.h"
#include "client.h"
#include "http/respond.h"
#include "http/routes.h"
#include "http/server.h"
#include <stdio.h>
#include <string.h>

static void handle_invalid(h2o_req_t *req, const struct route_match *match)
{
    struct faults faults = {0};

    (void)match;
    fault_add(&faults, FAULT_MISSING_FIELD, "ad_id", "must be set");
    fault_add(&faults, FAULT_INVALID_IP, "ip", "\"%s\" is no address", "x\ny");
    respond_faults(req, &faults, 7);
}

static void handle_busy(h2o_req_t *req, const struct route_match *match)
{
    struct faults faults = {0};

    (void)match;
    fault_add(&faults, FAULT_RATE_LIMITED, "", "too many requests");
    respond_faults(req, &faults, 7);
}

static void handle_down(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    respond_fault(req, FAULT_UNAVAILABLE, "", "nobody is at %s", "home");
}

static const struct route routes[] = {
    {"GET", "/invalid", handle_invalid, 0, 0},
    {"GET", "/busy", handle_busy, 0, 0},
    {"GET", "/down", handle_down, 0, 0},
    {.path = NULL},
};

static struct server *server_new(struct error *err)
{
    const struct server_options options = {
        .host = "127.0.0.1",
        .threads = 1,
        .connections_max = 10,
        .body_max_bytes = 100,
        .request_timeout_ms = 5000,
        .idle_timeout_ms = 5000,
        .drain_ms = 1000,
        .routes = routes,
    };
    struct server *server = server_open(&options, err);

    assert_ok(server != NULL);
    return server;
}

TEST(shows_every_fault_in_a_problem)
{
    AUTO(server_close) struct server *server = server_new(err);
    struct answer answer;

    client_ask(server_port(server),
               "GET /invalid?x=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: my-id_1.0\r\n\r\n", &answer);

    assert_int_equal(422, answer.status);
    assert_string_equal("application/problem+json", answer_header(&answer, "Content-Type"));
    assert_null(answer_header(&answer, "Retry-After"));
    assert_string_equal(
        "{\"type\":\"/problems/missing_field\",\"title\":\"A field is missing\","
        "\"status\":422,\"detail\":\"ad_id: must be set\",\"instance\":\"/invalid\","
        "\"code\":\"missing_field\",\"request_id\":\"my-id_1.0\",\"errors\":["
        "{\"field\":\"ad_id\",\"code\":\"missing_field\",\"detail\":\"must be "
        "set\"},{\"field\":\"ip\",\"code\":\"invalid_ip\",\"detail\":\"\\\"x\\ny\\\" "
        "is no address\"}],\"error\":\"ad_id: must be set\"}",
        answer.body);
}

TEST(says_when_to_come_back)
{
    AUTO(server_close) struct server *server = server_new(err);
    struct answer answer;

    client_ask(server_port(server), "GET /busy HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
    assert_int_equal(429, answer.status);
    assert_string_equal("7", answer_header(&answer, "Retry-After"));
    client_ask(server_port(server), "GET /down HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
    assert_int_equal(503, answer.status);
    assert_string_equal("1", answer_header(&answer, "Retry-After"));
    assert_true(answer_has(&answer, "\"errors\":[],\"error\":\"nobody is at home\""));
}

TEST(repeats_a_well_formed_request_id_and_replaces_others)
{
    static const char long_id[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    AUTO(server_close) struct server *server = server_new(err);
    struct answer answer;
    char request[300];
    const struct {
        const char *id;
        const char *end;
        bool is_kept;
    } rows[] = {{"abc-1.2_Z", "", true}, {long_id, "", true}, {long_id, "4", false},
                {"a b", "", false},      {"a\"b", "", false}, {"", "", false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(request, sizeof(request),
                 "GET /down HTTP/1.1\r\nHost: x\r\nX-Request-Id: %s%s\r\n\r\n", rows[i].id,
                 rows[i].end);
        client_ask(server_port(server), request, &answer);
        if (rows[i].is_kept)
            assert_string_equal(rows[i].id, answer_header(&answer, "X-Request-Id"));
        else
            assert_int_equal(24, strlen(answer_header(&answer, "X-Request-Id")));
    }
}

TEST(never_makes_the_same_request_id_twice)
{
    AUTO(server_close) struct server *server = server_new(err);
    struct answer answer;
    char first[100];

    client_ask(server_port(server), "GET /down HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
    snprintf(first, sizeof(first), "%s", answer_header(&answer, "X-Request-Id"));
    client_ask(server_port(server), "GET /down HTTP/1.1\r\nHost: x\r\n\r\n", &answer);

    assert_string_not_equal(first, answer_header(&answer, "X-Request-Id"));
}

TESTS(RUN(shows_every_fault_in_a_problem), RUN(says_when_to_come_back),
      RUN(repeats_a_well_formed_request_id_and_replaces_others),
      RUN(never_makes_the_same_request_id_twice))
