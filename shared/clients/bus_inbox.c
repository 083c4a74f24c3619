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

/* A subscription that has ended gives no message any more, and keeps what it has. What comes
 * meanwhile is bounded by what was asked for. */
static void drop_unread(natsSubscription *subscription)
{
    natsStatus status;

    do {
        natsMsg *message = NULL;

        status = natsSubscription_NextMsg(&message, subscription, 0);
        natsMsg_Destroy(message);
    } while (status == NATS_OK || status == NATS_NO_RESPONDERS || status == NATS_SLOW_CONSUMER);
}

/* False: there is no room. */
static bool add(struct bus_ended *ended, natsSubscription *subscription)
{
    bool has_room;

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
    bus_ended_sweep(bus_ended(inbox->bus));
    while (!add(bus_ended(inbox->bus), inbox->subscription)) {
        clock_sleep_ms(AGAIN_MS);
        bus_ended_sweep(bus_ended(inbox->bus));
    }
    *inbox = (struct bus_inbox){0};
}

void bus_ended_init(struct bus_ended *ended)
{
    pthread_mutex_init(&ended->lock, NULL);
}

/* The oldest, if its time has come; NULL: it has not. */
static natsSubscription *take(struct bus_ended *ended, int64_t now_ms)
{
    natsSubscription *subscription = NULL;

    pthread_mutex_lock(&ended->lock);
    if (ended->freed < ended->added) {
        size_t slot = ended->freed % BUS_ENDED_MAX;

        if (ended->ring[slot].free_at_ms <= now_ms) {
            subscription = ended->ring[slot].subscription;
            ended->freed++;
        }
    }
    pthread_mutex_unlock(&ended->lock);
    return subscription;
}

/* Outside of the lock: with the last of a connection that goes, too. */
static void free_until(struct bus_ended *ended, int64_t now_ms)
{
    natsSubscription *subscription;

    while ((subscription = take(ended, now_ms)) != NULL)
        natsSubscription_Destroy(subscription);
}

void bus_ended_sweep(struct bus_ended *ended)
{
    free_until(ended, clock_now_ms());
}

void bus_ended_end(struct bus_ended *ended)
{
    free_until(ended, INT64_MAX);
    pthread_mutex_destroy(&ended->lock);
}
