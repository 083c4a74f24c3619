#include "check.h"

#include "base/auto.h"
#include "client.h"
#include "http/ops.h"
#include "http/server.h"
#include "runtime/service.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* What the service shows; the loop thread reads it while the test waits for its answer. */
struct parts {
    const char *nats;
    const char *redis;
};

static size_t show(void *ctx, struct service_component *out, size_t max)
{
    const struct parts *parts = ctx;

    assert_true(max >= 2);
    out[0] = (struct service_component){.name = "nats", .state = parts->nats, .is_critical = true};
    out[1] = (struct service_component){.name = "redis", .state = parts->redis};
    snprintf(out[1].detail, sizeof(out[1].detail), "says \"%s\"", parts->redis);
    return 2;
}

static void ask(struct server *server, const char *path, struct answer *answer)
{
    char request[100];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    client_ask(server_port(server), request, answer);
}

static struct service *service_new(struct error *err)
{
    struct service *service = service_open("gateway", err);

    assert_ok(service != NULL);
    return service;
}

static struct server *server_of(struct service *service, struct error *err)
{
    struct server *server = ops_open(service, "127.0.0.1", 0, err);

    assert_ok(server != NULL);
    return server;
}

TEST(judges_health_by_the_components)
{
    static const struct {
        struct parts parts;
        int status;
        const char *health;
    } rows[] = {
        {{"up", "up"}, 200, "\"status\":\"ok\""},
        {{"up", "down"}, 200, "\"status\":\"degraded\""},
        {{"degraded", "up"}, 200, "\"status\":\"degraded\""},
        {{"unknown", "up"}, 200, "\"status\":\"degraded\""},
        {{"down", "up"}, 503, "\"status\":\"unavailable\""},
    };
    struct answer answer;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct parts parts = rows[i].parts;
        AUTO(service_close) struct service *service = service_new(err);

        service_set_components(service, show, &parts);
        service_ready(service);
        AUTO(server_close) struct server *server = server_of(service, err);

        ask(server, "/health", &answer);
        assert_int_equal(rows[i].status, answer.status);
        assert_true(answer_has(&answer, rows[i].health));
    }
}

TEST(shows_each_component_with_its_detail)
{
    struct parts parts = {"up", "down"};
    AUTO(service_close) struct service *service = service_new(err);
    struct answer answer;

    service_set_components(service, show, &parts);
    AUTO(server_close) struct server *server = server_of(service, err);
    ask(server, "/health", &answer);

    assert_true(answer_has(&answer, "\"service\":\"gateway\""));
    assert_true(answer_has(&answer, "\"uptime_s\":0"));
    assert_true(answer_has(&answer, "\"components\":{\"nats\":{\"state\":\"up\",\"detail\":\"\"},"
                                    "\"redis\":{\"state\":\"down\",\"detail\":\"says "
                                    "\\\"down\\\"\"}}"));
}

TEST(is_ready_from_the_proof_to_the_drain)
{
    AUTO(service_close) struct service *service = service_new(err);
    AUTO(server_close) struct server *server = server_of(service, err);
    struct answer answer;

    ask(server, "/health/ready", &answer);
    assert_int_equal(503, answer.status);
    assert_true(answer_has(&answer, "starting"));
    service_ready(service);
    ask(server, "/readyz", &answer);
    assert_int_equal(200, answer.status);
    service_stop(service);
    ask(server, "/health/ready", &answer);
    assert_int_equal(503, answer.status);
    assert_true(answer_has(&answer, "draining"));
}

TEST(is_live_until_a_beat_stops)
{
    AUTO(service_close) struct service *service = service_new(err);
    AUTO(server_close) struct server *server = server_of(service, err);
    struct answer answer;
    size_t beat;

    ask(server, "/livez", &answer);
    assert_int_equal(200, answer.status);
    assert_string_equal("{\"status\":\"ok\"}", answer.body);
    beat = service_add_beat(service, "reader");
    service_beat(service, beat, 1); /* long ago */
    ask(server, "/health/live", &answer);

    assert_int_equal(503, answer.status);
    assert_true(answer_has(&answer, "reader"));
}

TEST(counts_every_request_by_route_and_class)
{
    AUTO(service_close) struct service *service = service_new(err);
    AUTO(server_close) struct server *server = server_of(service, err);
    struct answer answer;

    service_ready(service);
    ask(server, "/health/live", &answer);
    ask(server, "/health/live", &answer);
    ask(server, "/nowhere", &answer);
    ask(server, "/metrics", &answer);

    assert_int_equal(200, answer.status);
    assert_non_null(strstr(answer_header(&answer, "Content-Type"), "version=0.0.4"));
    assert_true(answer_has(
        &answer, "adledger_http_requests_total{route=\"/health/live\",code=\"2xx\"} 2\n"));
    assert_true(
        answer_has(&answer, "adledger_http_requests_total{route=\"none\",code=\"4xx\"} 1\n"));
    assert_true(
        answer_has(&answer, "adledger_http_request_seconds_count{route=\"/health/live\"} 2\n"));
    assert_true(answer_has(&answer, "adledger_http_request_seconds_count{route=\"none\"} 1\n"));
    assert_true(answer_has(&answer, "adledger_service_ready 1\n"));
    assert_true(answer_has(&answer, "adledger_http_connections_max 256\n"));
}

TEST(tells_what_it_is)
{
    AUTO(service_close) struct service *service = service_new(err);
    AUTO(server_close) struct server *server = server_of(service, err);
    struct answer answer;

    ask(server, "/info", &answer);

    assert_int_equal(200, answer.status);
    assert_true(answer_has(&answer, "{\"name\":\"adledger\",\"service\":\"gateway\","));
    assert_true(answer_has(&answer, "\"commit\":\""));
    assert_true(answer_has(&answer, "\"build_date\":\""));
    assert_true(answer_has(&answer, "\"GET /health/live\""));
}

TESTS(RUN(judges_health_by_the_components), RUN(shows_each_component_with_its_detail),
      RUN(is_ready_from_the_proof_to_the_drain), RUN(is_live_until_a_beat_stops),
      RUN(counts_every_request_by_route_and_class), RUN(tells_what_it_is))
