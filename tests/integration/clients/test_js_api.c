#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/js_api.h"

enum { DELAY_MS = 100, ATTEMPTS_MAX = 6, REQUEST_MS = 1000, SLACK_MS = 500 };

/* Of the attempts only the one numbered `answered` asks for something that there is. */
struct attempts {
    unsigned answered;
    unsigned made;
    const struct server *frozen; /* NULL: none; thawed by attempt 3 */
};

static void write_attempt(void *ctx, unsigned attempt, struct js_api_call *out)
{
    struct attempts *attempts = ctx;
    bool is_answered = attempt == attempts->answered;

    attempts->made = attempt + 1;
    if (attempts->frozen != NULL && attempt == 3)
        server_thaw(attempts->frozen);
    snprintf(out->subject, sizeof(out->subject), is_answered ? "INFO" : "NOBODY.ANSWERS");
    out->body[0] = '\0';
}

static bool request(struct bus *bus, struct attempts *attempts, struct error *err)
{
    const struct js_api_hedge hedge = {.delay_ms = DELAY_MS,
                                       .attempts_max = ATTEMPTS_MAX,
                                       .write = write_attempt,
                                       .ctx = attempts};
    AUTO(js_api_free) struct js_api_answer answer = {0};

    return js_api_request_hedged(bus, &hedge, REQUEST_MS, &answer, err) &&
           json_object_get(answer.json, "streams") != NULL;
}

TEST(a_hedged_request_tries_until_an_attempt_is_answered_and_no_longer)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);

    for (unsigned answered = 0; answered < ATTEMPTS_MAX; answered += 3) {
        struct attempts attempts = {.answered = answered};

        assert_ok(request(bus, &attempts, err));
        assert_int_equal(attempts.made, answered + 1);
    }
}

TEST(a_hedged_request_that_nobody_answers_ends_in_time_and_after_its_attempts)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct attempts attempts = {.answered = UINT32_MAX};
    int64_t began_ms = clock_now_ms();

    assert_fails(ERROR_UNAVAILABLE, request(bus, &attempts, err));
    assert_in_range(clock_now_ms() - began_ms, REQUEST_MS - DELAY_MS, REQUEST_MS + SLACK_MS);
    assert_int_equal(attempts.made, ATTEMPTS_MAX);
    assert_non_null(strstr(err->text, "Timeout"));
}

TEST(a_late_answer_to_an_earlier_attempt_counts)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    struct attempts attempts = {.answered = 0, .frozen = nats};

    server_freeze(nats);
    assert_ok(request(bus, &attempts, err));
    assert_in_range(attempts.made, 4, ATTEMPTS_MAX);
}

static void write_refused(void *ctx, unsigned attempt, struct js_api_call *out)
{
    *(unsigned *)ctx = attempt + 1;
    snprintf(out->subject, sizeof(out->subject), "STREAM.INFO.NOT_THERE");
    out->body[0] = '\0';
}

TEST(a_refusal_that_stays_ends_a_hedged_request)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    unsigned made = 0;
    const struct js_api_hedge hedge = {
        .delay_ms = DELAY_MS, .attempts_max = ATTEMPTS_MAX, .write = write_refused, .ctx = &made};
    struct js_api_answer answer = {0};

    assert_fails(ERROR_INVALID, js_api_request_hedged(bus, &hedge, REQUEST_MS, &answer, err));
    assert_int_equal(made, 1);
}

#define THREE_COPIES "{\"name\":\"THREE\",\"subjects\":[\"three\"],\"num_replicas\":3}"

/* 10074, a 500 like those that pass: there is one server. */
static void write_unavailable(void *ctx, unsigned attempt, struct js_api_call *out)
{
    *(unsigned *)ctx = attempt + 1;
    snprintf(out->subject, sizeof(out->subject), attempt < 2 ? "STREAM.CREATE.THREE" : "INFO");
    snprintf(out->body, sizeof(out->body), "%s", attempt < 2 ? THREE_COPIES : "");
}

TEST(a_refusal_that_may_pass_is_tried_again)
{
    AUTO(server_close) struct server *nats = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(nats, err);
    unsigned made = 0;
    const struct js_api_hedge hedge = {.delay_ms = DELAY_MS,
                                       .attempts_max = ATTEMPTS_MAX,
                                       .write = write_unavailable,
                                       .ctx = &made};
    AUTO(js_api_free) struct js_api_answer answer = {0};

    assert_ok(js_api_request_hedged(bus, &hedge, REQUEST_MS, &answer, err));
    assert_int_equal(made, 3);
}

TESTS(RUN(a_hedged_request_tries_until_an_attempt_is_answered_and_no_longer),
      RUN(a_hedged_request_that_nobody_answers_ends_in_time_and_after_its_attempts),
      RUN(a_late_answer_to_an_earlier_attempt_counts),
      RUN(a_refusal_that_stays_ends_a_hedged_request), RUN(a_refusal_that_may_pass_is_tried_again))
