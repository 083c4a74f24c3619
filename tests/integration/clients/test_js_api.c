#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/js_api.h"

#include <pthread.h>

enum { EVERY_MS = 100, REQUEST_MS = 1000 };

/* Of the calls that are made, only the one numbered `answered` asks for something that there is. */
struct calls {
    unsigned answered;
    unsigned made;
};

static void write_call(void *ctx, unsigned number, struct js_api_call *out)
{
    struct calls *calls = ctx;
    bool is_answered = number == calls->answered;

    calls->made = number + 1;
    snprintf(out->subject, sizeof(out->subject), is_answered ? "INFO" : "NOBODY.ANSWERS.%u",
             number);
    out->body[0] = '\0';
}

static bool request(struct bus *bus, struct calls *calls, struct error *err)
{
    const struct js_api_hedge hedge = {.every_ms = EVERY_MS, .write = write_call, .ctx = calls};
    AUTO(js_api_free) struct js_api_answer answer = {0};

    return js_api_request_hedged(bus, &hedge, REQUEST_MS, &answer, err) &&
           json_object_get(answer.json, "streams") != NULL;
}

TEST(a_hedged_request_calls_once_when_it_is_answered)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct calls calls = {.answered = 0};

    assert_ok(request(bus, &calls, err));
    assert_int_equal(calls.made, 1);
}

TEST(a_hedged_request_calls_again_until_one_is_answered)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct calls calls = {.answered = 3};

    assert_ok(request(bus, &calls, err));
    assert_int_equal(calls.made, 4);
}

TEST(a_hedged_request_ends_in_time_when_nothing_answers)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct calls calls = {.answered = UINT32_MAX};
    int64_t began_ms = clock_now_ms();

    assert_fails(ERROR_UNAVAILABLE, request(bus, &calls, err));
    assert_in_range(clock_now_ms() - began_ms, REQUEST_MS, REQUEST_MS + EVERY_MS);
    assert_in_range(calls.made, 2, REQUEST_MS / EVERY_MS + 1);
}

struct thaw {
    const struct server *server;
    int after_ms;
};

static void *on_thaw(void *ctx)
{
    const struct thaw *thaw = ctx;

    clock_sleep_ms(thaw->after_ms);
    server_thaw(thaw->server);
    return NULL;
}

TEST(a_late_answer_to_an_earlier_call_counts)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct calls calls = {.answered = 0};
    struct thaw thaw = {.server = nats, .after_ms = 4 * EVERY_MS};
    pthread_t thread;

    server_freeze(nats);
    assert_int_equal(pthread_create(&thread, NULL, on_thaw, &thaw), 0);
    assert_ok(request(bus, &calls, err));
    assert_in_range(calls.made, 3, 6);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

TESTS(RUN(a_hedged_request_calls_once_when_it_is_answered),
      RUN(a_hedged_request_calls_again_until_one_is_answered),
      RUN(a_hedged_request_ends_in_time_when_nothing_answers),
      RUN(a_late_answer_to_an_earlier_call_counts))
