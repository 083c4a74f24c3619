#include "clients/bus_inbox.h"

enum { PASSED_MS = 100 };

natsStatus bus_inbox_open(struct bus_inbox *out, struct bus *bus, const char *subject)
{
    natsConnection *connection = bus_connection(bus);
    natsSubscription *subscription = NULL;
    natsStatus status = natsConnection_SubscribeSync(&subscription, connection, subject);

    *out = (struct bus_inbox){0};
    if (status == NATS_OK)
        *out = (struct bus_inbox){bus, connection, subscription};
    return status;
}

/* What arrives after a message is read when that has been delivered, the answer to a flush, too. */
static bool is_passed(natsConnection *connection)
{
    return natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED &&
           natsConnection_FlushTimeout(connection, PASSED_MS) == NATS_OK;
}

void bus_inbox_close(struct bus_inbox *inbox)
{
    if (inbox->bus == NULL)
        return;
    (void)natsSubscription_Unsubscribe(inbox->subscription); /* fails on a closed connection only */
    if (is_passed(inbox->connection))
        natsSubscription_Destroy(inbox->subscription);
    else
        bus_keep_until_closed(inbox->bus, inbox->subscription);
    *inbox = (struct bus_inbox){0};
}
