/* Subscriptions that end while messages come to them, with the server there and with it gone. */
#include "base/auto.h"
#include "bus_fixture.h"
#include "clients/bus_inbox.h"

#define SUBJECT "test.inbox"

/* Enough for two of five runs to crash when a subscription is freed at once. */
enum { ROUNDS = 2000, MESSAGES = 200, KILLS = 5 };

static void free_connection(natsConnection **connection)
{
    natsConnection_Destroy(*connection);
    *connection = NULL;
}

static natsConnection *sender_on(const struct server *server)
{
    natsConnection *sender = NULL;

    assert_int_equal(natsConnection_ConnectTo(&sender, server_url(server)), NATS_OK);
    return sender;
}

static void send(natsConnection *sender)
{
    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(natsConnection_PublishString(sender, SUBJECT, "x"), NATS_OK);
    assert_int_equal(natsConnection_Flush(sender), NATS_OK);
}

static void check_message_comes(struct bus *bus, const struct bus_inbox *inbox)
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
    AUTO(free_connection) natsConnection *sender = sender_on(server);

    for (int round = 0; round < ROUNDS; round++) {
        struct bus_inbox inbox;

        assert_ok(bus_inbox_open(bus, SUBJECT, &inbox, err));
        if (round % 10 == 0)
            check_message_comes(bus, &inbox);
        send(sender);
        bus_inbox_close(&inbox);
        assert_null(inbox.bus);
    }
}

TEST(an_inbox_may_end_while_messages_come_and_the_server_goes)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);

    for (int round = 0; round < KILLS; round++) {
        AUTO(free_connection) natsConnection *sender = sender_on(server);
        struct bus_inbox inbox;

        assert_ok(bus_inbox_open(bus, SUBJECT, &inbox, err));
        check_message_comes(bus, &inbox);
        send(sender);
        server_kill(server);
        bus_inbox_close(&inbox);
        assert_true(wait_until_connected(bus, false));
        server_start(server);
        assert_true(wait_until_connected(bus, true));
    }
}

TEST(an_inbox_that_was_not_opened_is_none)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    struct bus_inbox inbox;

    assert_fails(ERROR_UNAVAILABLE, bus_inbox_open(bus, "no subject", &inbox, err));
    assert_null(inbox.bus);
    bus_inbox_close(&inbox);
}

TEST(who_ends_more_than_are_kept_waits_for_the_oldest)
{
    AUTO(server_close) struct server *server = server_open_nats();
    AUTO(bus_close) struct bus *bus = bus_on(server, err);
    int64_t began_ms = clock_now_ms();

    for (int i = 0; i < BUS_ENDED_MAX + 1; i++) {
        struct bus_inbox inbox;

        assert_ok(bus_inbox_open(bus, SUBJECT, &inbox, err));
        bus_inbox_close(&inbox);
    }
    assert_in_range(clock_now_ms() - began_ms, BUS_ENDED_MS, BUS_ENDED_MS * 3);
}

TESTS(RUN(an_inbox_may_end_while_messages_come),
      RUN(an_inbox_may_end_while_messages_come_and_the_server_goes),
      RUN(an_inbox_that_was_not_opened_is_none),
      RUN(who_ends_more_than_are_kept_waits_for_the_oldest))
