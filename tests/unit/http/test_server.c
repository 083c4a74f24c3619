#include "check.h"

#include "base/auto.h"
#include "client.h"
#include "http/respond.h"
#include "http/routes.h"
#include "http/server.h"
#include "runtime/clock.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the hooks of a test's server share with the test. */
struct scene {
    atomic_int started, stopped, turns, waiting;
    atomic_bool is_released; /* answer what waits */
    atomic_bool fails_to_start;
    h2o_req_t *parked; /* the loop thread's */
};

static struct scene *scene_of(h2o_req_t *req)
{
    return server_thread_of(req)->app;
}

static void handle_hello(h2o_req_t *req, const struct route_match *match)
{
    (void)match;
    respond_json(req, 200, h2o_iovec_init(H2O_STRLIT("{}")));
}

static void handle_clock(h2o_req_t *req, const struct route_match *match)
{
    const struct server_thread *thread = server_thread_of(req);
    char *text = h2o_mem_alloc_pool(&req->pool, 64);
    const int size =
        snprintf(text, 64, "%lld %lld", (long long)thread->now_ms, (long long)thread->at_ms);

    (void)match;
    respond_bytes(req, 200, "text/plain", h2o_iovec_init(text, (size_t)size));
}

static void handle_wait(h2o_req_t *req, const struct route_match *match)
{
    struct scene *scene = scene_of(req);

    (void)match;
    scene->parked = req;
    atomic_store(&scene->waiting, 1);
}

static const struct route routes[] = {
    {"GET", "/hello", handle_hello, 0, 0},
    {"POST", "/hello", handle_hello, 100, 0},
    {"GET", "/clock", handle_clock, 0, 0},
    {"GET", "/wait", handle_wait, 0, 0},
    {.path = NULL},
};

static bool on_thread_start(void *ctx, struct server_thread *thread, struct error *err)
{
    struct scene *scene = ctx;

    if (atomic_load(&scene->fails_to_start) && thread->index == 1)
        return error_set(err, ERROR_UNAVAILABLE, "thread one does not like it");
    thread->app = scene;
    atomic_fetch_add(&scene->started, 1);
    return true;
}

static void on_turn(void *ctx, struct server_thread *thread)
{
    struct scene *scene = ctx;

    (void)thread;
    atomic_fetch_add(&scene->turns, 1);
    if (atomic_load(&scene->is_released) && atomic_exchange(&scene->waiting, 0) == 1)
        respond_json(scene->parked, 200, h2o_iovec_init(H2O_STRLIT("{\"late\":true}")));
}

static bool on_idle(void *ctx, struct server_thread *thread)
{
    struct scene *scene = ctx;

    (void)thread;
    return atomic_load(&scene->waiting) == 0;
}

static void on_thread_stop(void *ctx, struct server_thread *thread)
{
    struct scene *scene = ctx;

    (void)thread;
    atomic_fetch_add(&scene->stopped, 1);
}

static struct server_options options_of(struct scene *scene)
{
    return (struct server_options){
        .host = "127.0.0.1",
        .threads = 1,
        .connections_max = 100,
        .body_max_bytes = 100,
        .request_timeout_ms = 20000,
        .idle_timeout_ms = 20000,
        .drain_ms = 5000,
        .routes = routes,
        .ctx = scene,
        .on_thread_start = on_thread_start,
        .on_turn = on_turn,
        .on_idle = on_idle,
        .on_thread_stop = on_thread_stop,
    };
}

static struct server *server_of(const struct server_options *options, struct error *err)
{
    struct server *server = server_open(options, err);

    assert_ok(server != NULL);
    return server;
}

static void wait_until(const atomic_int *value, int expected)
{
    const int64_t until_ms = clock_now_ms() + CLIENT_WAIT_MS;

    while (atomic_load(value) != expected) {
        assert_true(clock_now_ms() < until_ms);
        clock_sleep_ms(1);
    }
}

static void assert_answers(struct client *client, int status)
{
    struct answer answer;

    client_read(client, &answer);
    assert_int_equal(status, answer.status);
}

static void wait_for_connections(const struct server *server, int expected)
{
    const int64_t until_ms = clock_now_ms() + CLIENT_WAIT_MS;

    while (server_connections(server) != expected) {
        assert_true(clock_now_ms() < until_ms);
        clock_sleep_ms(1);
    }
}

/* The process may open one more file; gives back the limit it had. */
static struct rlimit leave_one_descriptor(void)
{
    const int next = dup(0); /* the lowest that is free */
    struct rlimit before, now;

    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    close(next);
    now = (struct rlimit){.rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &now));
    return before;
}

#define HELLO "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

TEST(runs_the_hooks_on_every_thread)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);
    struct server *server;

    options.threads = 3;
    server = server_of(&options, err);
    assert_int_equal(3, atomic_load(&scene.started));
    server_close(&server);

    assert_null(server);
    assert_int_equal(3, atomic_load(&scene.stopped));
    assert_true(atomic_load(&scene.turns) >= 3);
}

TEST(fails_to_open_when_a_thread_cannot_start)
{
    struct scene scene = {.fails_to_start = true};
    struct server_options options = options_of(&scene);

    options.threads = 3;
    assert_fails(ERROR_UNAVAILABLE, server_open(&options, err) != NULL);
    assert_string_equal("thread one does not like it", err->text);
    assert_int_equal(atomic_load(&scene.started), atomic_load(&scene.stopped));
}

TEST(names_the_port_that_is_taken)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);
    AUTO(server_close) struct server *server = server_of(&options, err);
    char expected[32];

    options.port = server_port(server);
    snprintf(expected, sizeof(expected), "127.0.0.1:%d", options.port);

    assert_fails(ERROR_UNAVAILABLE, server_open(&options, err) != NULL);
    assert_non_null(strstr(err->text, expected));
}

TEST(answers_pipelined_requests_in_their_order)
{
    struct scene scene = {0};
    const struct server_options options = options_of(&scene);
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *client = client_open(server_port(server));

    client_send(client,
                HELLO "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
                      "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" HELLO);

    assert_answers(client, 200);
    assert_answers(client, 404);
    assert_answers(client, 200);
    assert_answers(client, 200);
}

TEST(takes_ipv4_and_ipv6_on_the_unspecified_ipv6_address)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct answer answer;
    int fd;

    options.host = "::";
    AUTO(server_close) struct server *server = server_of(&options, err);
    client_ask(server_port(server), HELLO, &answer);
    assert_int_equal(200, answer.status);

    fd = socket(AF_INET6, SOCK_STREAM, 0);
    address.sin6_port = htons((uint16_t)server_port(server));
    assert_int_equal(0, connect(fd, (const struct sockaddr *)&address, sizeof(address)));
    close(fd);
}

TEST(gives_a_request_after_a_quiet_time_the_present_time)
{
    struct scene scene = {0};
    const struct server_options options = options_of(&scene);
    AUTO(server_close) struct server *server = server_of(&options, err);
    struct answer answer;
    char *rest = NULL;
    int64_t now_ms, at_ms;

    for (int i = 0; i < 20; i++) {
        const int64_t sent_at_ms = clock_at_ms();
        const int64_t sent_now_ms = clock_now_ms();

        client_ask(server_port(server), "GET /clock HTTP/1.1\r\nHost: x\r\n\r\n", &answer);
        now_ms = strtoll(answer.body, &rest, 10);
        at_ms = strtoll(rest, NULL, 10);
        /* h2o's clock, which tells whether time has passed, is in whole milliseconds. */
        assert_true(at_ms >= sent_at_ms - 1 && now_ms >= sent_now_ms - 1);
        clock_sleep_ms(7);
    }
}

TEST(refuses_above_the_limit_and_takes_new_ones_below_it)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    options.connections_max = 2;
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *first = client_open(server_port(server));
    AUTO(client_close) struct client *second = client_open(server_port(server));
    struct answer answer;

    client_send(first, HELLO);
    client_send(second, HELLO);
    assert_answers(first, 200);
    assert_answers(second, 200);
    for (int i = 0; i < 3; i++) {
        AUTO(client_close) struct client *third = client_open(server_port(server));

        client_send(third, HELLO);
        client_read(third, &answer);
        assert_int_equal(answer.status, 503);
        assert_non_null(strstr(answer.head, "Retry-After: 1"));
        assert_non_null(strstr(answer.body, "\"code\":\"overloaded\""));
        assert_true(client_is_closed(third));
    }
    assert_int_equal(2, server_connections(server));
    client_close(&first);
    wait_for_connections(server, 1);

    AUTO(client_close) struct client *fourth = client_open(server_port(server));

    client_send(fourth, HELLO);
    assert_answers(fourth, 200);
}

TEST(refuses_when_no_descriptor_is_left_and_takes_new_ones_when_there_is)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *first = client_open(server_port(server));
    struct rlimit before;
    struct answer answer;

    client_send(first, HELLO);
    assert_answers(first, 200);
    before = leave_one_descriptor(); /* for the client's end */
    for (int i = 0; i < 3; i++) {
        AUTO(client_close) struct client *second = client_open(server_port(server));

        client_send(second, HELLO);
        client_read(second, &answer);
        assert_int_equal(answer.status, 503);
    }
    client_send(first, HELLO);
    assert_answers(first, 200);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));

    AUTO(client_close) struct client *third = client_open(server_port(server));

    client_send(third, HELLO);
    assert_answers(third, 200);
}

TEST(ends_a_request_that_is_sent_too_slowly)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    options.request_timeout_ms = 100;
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *head = client_open(server_port(server));
    AUTO(client_close) struct client *body = client_open(server_port(server));
    AUTO(client_close) struct client *idle = client_open(server_port(server));

    client_send(head, "GET /hello HTTP/1.1\r\nHost:");
    client_send(body, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{");

    assert_true(client_is_closed(head));
    assert_true(client_is_closed(body));
    client_send(idle, HELLO);
    assert_answers(idle, 200);
}

TEST(lets_an_answer_take_longer_than_a_request_may)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    options.request_timeout_ms = 100;
    options.idle_timeout_ms = 100;
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *waiting = client_open(server_port(server));
    AUTO(client_close) struct client *slow = client_open(server_port(server));

    client_send(waiting, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    client_send(slow, "GET /hello"); /* its end tells that the limits have passed */
    assert_true(client_is_closed(slow));
    atomic_store(&scene.is_released, true);

    assert_answers(waiting, 200);
}

TEST(ends_a_connection_that_is_idle_for_too_long)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    options.request_timeout_ms = 100;
    options.idle_timeout_ms = 100;
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *client = client_open(server_port(server));

    client_send(client, HELLO);
    assert_answers(client, 200);

    assert_true(client_is_closed(client));
}

static void *on_drain(void *server)
{
    server_drain(server);
    return NULL;
}

TEST(drains_by_closing_idle_connections)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    options.drain_ms = 60000;
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *used = client_open(server_port(server));
    AUTO(client_close) struct client *unused = client_open(server_port(server));
    const int64_t begun_ms = clock_now_ms();

    client_send(used, HELLO);
    assert_answers(used, 200);
    server_drain(server);

    assert_true(clock_now_ms() - begun_ms < 5000);
    assert_true(client_is_closed(used));
    assert_true(client_is_closed(unused));
    assert_null(client_open(server_port(server)));
}

TEST(drains_by_finishing_what_is_under_way)
{
    struct scene scene = {0};
    const struct server_options options = options_of(&scene);
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *waiting = client_open(server_port(server));
    AUTO(client_close) struct client *partial = client_open(server_port(server));
    struct client *late;
    struct answer answer;
    pthread_t drainer;

    client_send(partial, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{");
    client_send(waiting, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(&scene.waiting, 1);
    assert_int_equal(0, pthread_create(&drainer, NULL, on_drain, server));
    while ((late = client_open(server_port(server))) != NULL)
        client_close(&late); /* until it does not accept any more */
    client_send(partial, "}");
    atomic_store(&scene.is_released, true);
    client_read(waiting, &answer);
    assert_int_equal(200, answer.status);
    assert_string_equal("close", answer_header(&answer, "Connection"));
    client_read(partial, &answer);
    assert_int_equal(200, answer.status);
    assert_string_equal("close", answer_header(&answer, "Connection"));

    assert_true(client_is_closed(waiting));
    assert_int_equal(0, pthread_join(drainer, NULL));
}

TEST(ends_the_drain_at_its_deadline)
{
    struct scene scene = {0};
    struct server_options options = options_of(&scene);

    options.drain_ms = 200;
    AUTO(server_close) struct server *server = server_of(&options, err);
    AUTO(client_close) struct client *partial = client_open(server_port(server));
    const int64_t begun_ms = clock_now_ms();

    client_send(partial, HELLO "GET /hel");
    assert_answers(partial, 200);
    server_drain(server);

    assert_true(clock_now_ms() - begun_ms < 5000);
    assert_true(client_is_closed(partial));
    assert_int_equal(1, atomic_load(&scene.stopped));
}

TESTS(RUN(runs_the_hooks_on_every_thread), RUN(fails_to_open_when_a_thread_cannot_start),
      RUN(names_the_port_that_is_taken), RUN(answers_pipelined_requests_in_their_order),
      RUN(takes_ipv4_and_ipv6_on_the_unspecified_ipv6_address),
      RUN(gives_a_request_after_a_quiet_time_the_present_time),
      RUN(refuses_above_the_limit_and_takes_new_ones_below_it),
      RUN(refuses_when_no_descriptor_is_left_and_takes_new_ones_when_there_is),
      RUN(ends_a_request_that_is_sent_too_slowly),
      RUN(lets_an_answer_take_longer_than_a_request_may),
      RUN(ends_a_connection_that_is_idle_for_too_long), RUN(drains_by_closing_idle_connections),
      RUN(drains_by_finishing_what_is_under_way), RUN(ends_the_drain_at_its_deadline))
