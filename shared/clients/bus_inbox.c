#include "clients/bus_inbox.h"

#include "runtime/clock.h"

bool bus_inbox_open(struct bus *bus, const char *subject, struct bus_inbox *out, struct error *err)
{
    natsConnection *connection = bus_connection(bus);
    natsSubscription *subscription = NULL;
    natsStatus status = natsConnection_SubscribeSync(&subscription, connection, subject);

    *out = (struct bus_inbox){0};
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "nats: subscribe: %s", natsStatus_GetText(status));
    *out = (struct bus_inbox){bus, connection, subscription};
    return true;
}

/* A subscription that has ended gives no message any more, and keeps what it has. */
static void drop_unread(natsSubscription *subscription)
{
    natsMsg *message = NULL;

    while (natsSubscription_NextMsg(&message, subscription, 0) == NATS_OK)
        natsMsg_Destroy(message);
}

/* False: there is no room. */
static bool add(struct bus_ended *ended, natsSubscription *subscription)
{
    bool has_room;

    bus_ended_sweep(ended);
    pthread_mutex_lock(&ended->lock);
    has_room = ended->added - ended->freed < BUS_ENDED_MAX;
    if (has_room) {
        size_t slot = ended->added++ % BUS_ENDED_MAX;

        ended->ring[slot].subscription = subscription;
        ended->ring[slot].free_at_ms = clock_now_ms() + BUS_ENDED_MS;
    }
    pthread_mutex_unlock(&ended->lock);
    return has_room;
}

void bus_inbox_close(struct bus_inbox *inbox)
{
    enum { AGAIN_MS = 10 };

    if (inbox->bus == NULL)
        return;
    drop_unread(inbox->subscription);
    (void)natsSubscription_Unsubscribe(inbox->subscription); /* fails on a closed connection only */
    while (!add(bus_ended(inbox->bus), inbox->subscription))
        clock_sleep_ms(AGAIN_MS);
    *inbox = (struct bus_inbox){0};
}

void bus_ended_init(struct bus_ended *ended)
{
    pthread_mutex_init(&ended->lock, NULL);
}

static void free_until(struct bus_ended *ended, int64_t now_ms)
{
    while (ended->freed < ended->added &&
           ended->ring[ended->freed % BUS_ENDED_MAX].free_at_ms <= now_ms)
        natsSubscription_Destroy(ended->ring[ended->freed++ % BUS_ENDED_MAX].subscription);
}

void bus_ended_sweep(struct bus_ended *ended)
{
    pthread_mutex_lock(&ended->lock);
    free_until(ended, clock_now_ms());
    pthread_mutex_unlock(&ended->lock);
}

void bus_ended_end(struct bus_ended *ended)
{
    free_until(ended, INT64_MAX);
    pthread_mutex_destroy(&ended->lock);
}
