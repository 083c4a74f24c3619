/* A connection that answers NATS's service protocol, over restarts and moves of its server. */
#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/auto_nats.h"
#include "clients/discovery.h"
#include "event/event_id.h"
#include "runtime/service.h"

enum { ANSWER_MS = 500, DEADLINE_MS = 15000, QUESTIONS = 2000, CLOSED_UNDER_LOAD = 20 };

#define ID "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

static void free_connection(natsConnection **connection)
{
    natsConnection_Destroy(*connection);
    *connection = NULL;
}

/* The process is "adledger-test" with ID from the first test on. */
static void init_once(struct error *err)
{
    static struct service *service;
    uint8_t id[EVENT_ID_SIZE];

    if (service != NULL)
        return;
    service = service_open("test", err);
    assert_non_null(service);
    assert_true(event_id_parse(ID, strlen(ID), id));
    discovery_init(service,
                   &(struct discovery_options){
                       .description = "is tested", .id = id, .http_port = 8080, .partitions = 4});
}

static struct bus *discoverable_bus_on(struct endpoint *endpoint, struct error *err)
{
    const struct bus_options options = {.endpoint = endpoint,
                                        .name = "test",
                                        .connect_ms = 2000,
                                        .request_ms = 1000,
                                        .is_discoverable = true};
    struct bus *bus;

    init_once(err);
    bus = bus_open(&options, err);
    if (bus == NULL)
        fail_msg("%s", err->text);
    assert_int_equal(natsConnection_Flush(bus_connection(bus)), NATS_OK); /* it is subscribed */
    return bus;
}

static natsConnection *asker_on(const struct server *server)
{
    natsConnection *asker = NULL;

    assert_int_equal(natsConnection_ConnectTo(&asker, server_url(server)), NATS_OK);
    return asker;
}

static natsStatus ask(natsConnection *asker, const char *subject, natsMsg **out_answer)
{
    return natsConnection_RequestString(out_answer, asker, subject, "", ANSWER_MS);
}

static void check_answers(natsConnection *asker, const char *subject, const char *part)
{
    AUTO(auto_free_message) natsMsg *answer = NULL;
    natsStatus status = ask(asker, subject, &answer);

    if (status != NATS_OK)
        fail_msg("%s: %s", subject, natsStatus_GetText(status));
    if (strstr(natsMsg_GetData(answer), part) == NULL)
        fail_msg("%s: %s", subject, natsMsg_GetData(answer));
}

static bool wait_until_answered(const struct server *server)
{
    AUTO(free_connection) natsConnection *asker = asker_on(server);
    int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    natsStatus status;

    do {
        AUTO(auto_free_message) natsMsg *answer = NULL;

        status = ask(asker, "$SRV.PING.adledger-test", &answer);
    } while (status != NATS_OK && clock_now_ms() < deadline_ms);
    return status == NATS_OK;
}

TEST(each_verb_is_answered_for_all_for_the_name_and_for_the_process)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = discoverable_bus_on(server_endpoint(server), err);
    AUTO(free_connection) natsConnection *asker = asker_on(server);

    check_answers(asker, "$SRV.PING", "\"id\":\"" ID "\"");
    check_answers(asker, "$SRV.PING.adledger-test", "v1.ping_response");
    check_answers(asker, "$SRV.PING.adledger-test." ID, "v1.ping_response");
    check_answers(asker, "$SRV.INFO", "v1.info_response");
    check_answers(asker, "$SRV.INFO.adledger-test", "\"description\":\"is tested\"");
    check_answers(asker, "$SRV.INFO.adledger-test." ID, "\"http_port\":\"8080\"");
    check_answers(asker, "$SRV.STATS", "v1.stats_response");
    check_answers(asker, "$SRV.STATS.adledger-test", "\"started\":\"20");
    check_answers(asker, "$SRV.STATS.adledger-test." ID, "\"partitions\":\"4\"");
}

TEST(what_is_asked_of_others_has_no_responder)
{
    static const char *const subjects[] = {"$SRV.PING.adledger-other", "$SRV.PING.adledger-test.0",
                                           "$SRV.NOTHING"};
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = discoverable_bus_on(server_endpoint(server), err);
    AUTO(free_connection) natsConnection *asker = asker_on(server);

    assert_int_equal(natsConnection_PublishString(asker, "$SRV.PING", "nobody to answer"), NATS_OK);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        AUTO(auto_free_message) natsMsg *answer = NULL;

        assert_int_equal(ask(asker, subjects[i], &answer), NATS_NO_RESPONDERS);
    }
    check_answers(asker, "$SRV.PING", ID);
}

TEST(a_bus_answers_only_when_it_is_to)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    AUTO(free_connection) natsConnection *asker = asker_on(server);
    AUTO(auto_free_message) natsMsg *answer = NULL;

    assert_int_equal(ask(asker, "$SRV.PING", &answer), NATS_NO_RESPONDERS);
}

TEST(it_answers_again_after_a_restart_and_at_another_address)
{
    AUTO(server_close) struct server *first = server_open_nats();
    AUTO(server_close) struct server *second = server_open_nats();
    struct endpoint *endpoint = server_endpoint(first);
    AUTO(bus_close) struct bus *bus = discoverable_bus_on(endpoint, err);

    assert_true(wait_until_answered(first));
    server_kill(first);
    assert_true(wait_until_connected(bus, false));
    server_start(first);
    assert_true(wait_until_answered(first));

    endpoint_move(endpoint, server_url(second));
    (void)bus_connection(bus);
    assert_true(wait_until_answered(second));
}

TEST(a_flood_of_questions_costs_only_answers)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = discoverable_bus_on(server_endpoint(server), err);
    AUTO(free_connection) natsConnection *asker = asker_on(server);
    struct stream_state state;

    assert_ok(stream_ensure(bus, 0, &fixture_limits, 0, 1000, err));
    for (int i = 0; i < QUESTIONS; i++)
        assert_int_equal(natsConnection_PublishRequestString(asker, "$SRV.STATS", "nobody", ""),
                         NATS_OK);
    assert_ok(stream_get_state(bus, 0, &state, err));
    assert_true(wait_until_answered(server));
}

TEST(a_connection_may_be_closed_while_questions_come)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(free_connection) natsConnection *asker = asker_on(server);

    for (int round = 0; round < CLOSED_UNDER_LOAD; round++) {
        AUTO(bus_close) struct bus *bus = discoverable_bus_on(server_endpoint(server), err);

        for (int i = 0; i < QUESTIONS / CLOSED_UNDER_LOAD; i++)
            assert_int_equal(natsConnection_PublishRequestString(asker, "$SRV.INFO", "nobody", ""),
                             NATS_OK);
        assert_int_equal(natsConnection_Flush(asker), NATS_OK);
    }
}

TESTS(RUN(each_verb_is_answered_for_all_for_the_name_and_for_the_process),
      RUN(what_is_asked_of_others_has_no_responder), RUN(a_bus_answers_only_when_it_is_to),
      RUN(it_answers_again_after_a_restart_and_at_another_address),
      RUN(a_flood_of_questions_costs_only_answers),
      RUN(a_connection_may_be_closed_while_questions_come))
