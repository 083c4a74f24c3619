/* Subscriptions that end while messages come to them, and while no server answers. */
#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/bus_inbox.h"

#define SUBJECT "test.inbox"

enum { ROUNDS = 1000, MESSAGES = 200, CLOSE_MAX_MS = 1000 };

static void free_connection(natsConnection **connection)
{
    natsConnection_Destroy(*connection);
    *connection = NULL;
}

static void check_message_comes(struct bus *bus, struct bus_inbox *inbox)
{
    natsMsg *message = NULL;

    assert_int_equal(natsConnection_PublishString(bus_connection(bus), SUBJECT, "x"), NATS_OK);
    assert_int_equal(natsSubscription_NextMsg(&message, inbox->subscription, 5000), NATS_OK);
    natsMsg_Destroy(message);
}

TEST(an_inbox_may_end_while_messages_come)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    AUTO(free_connection) natsConnection *sender = NULL;

    assert_int_equal(natsConnection_ConnectTo(&sender, server_url(server)), NATS_OK);
    for (int round = 0; round < ROUNDS; round++) {
        AUTO(bus_inbox_close) struct bus_inbox inbox;

        assert_int_equal(bus_inbox_open(&inbox, bus, SUBJECT), NATS_OK);
        check_message_comes(bus, &inbox);
        for (int i = 0; i < MESSAGES; i++)
            assert_int_equal(natsConnection_PublishString(sender, SUBJECT, "x"), NATS_OK);
        assert_int_equal(natsConnection_Flush(sender), NATS_OK);
    }
}

TEST(an_inbox_that_was_not_opened_is_none)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    struct bus_inbox inbox;

    assert_int_not_equal(bus_inbox_open(&inbox, bus, "no subject"), NATS_OK);
    assert_null(inbox.bus);
    bus_inbox_close(&inbox);
}

TEST(more_inboxes_than_are_kept_end_in_time_without_an_answer)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    struct bus_inbox inboxes[BUS_KEPT_MAX + 2];
    size_t count = sizeof(inboxes) / sizeof(inboxes[0]);
    int64_t began_ms;

    for (size_t i = 0; i < count; i++)
        assert_int_equal(bus_inbox_open(&inboxes[i], bus, SUBJECT), NATS_OK);
    server_freeze(server);
    began_ms = clock_now_ms();
    bus_inbox_close(&inboxes[0]);
    assert_in_range(clock_now_ms() - began_ms, 0, CLOSE_MAX_MS);
    server_kill(server);
    assert_true(wait_until_connected(bus, false));
    began_ms = clock_now_ms();
    for (size_t i = 1; i < count; i++)
        bus_inbox_close(&inboxes[i]);
    assert_in_range(clock_now_ms() - began_ms, 0, CLOSE_MAX_MS);
    server_start(server);
    assert_true(wait_until_connected(bus, true));
    assert_int_equal(bus_inbox_open(&inboxes[0], bus, SUBJECT), NATS_OK);
    check_message_comes(bus, &inboxes[0]);
    bus_inbox_close(&inboxes[0]);
}

TESTS(RUN(an_inbox_may_end_while_messages_come), RUN(an_inbox_that_was_not_opened_is_none),
      RUN(more_inboxes_than_are_kept_end_in_time_without_an_answer))
