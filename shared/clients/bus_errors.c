#include "clients/bus_errors.h"

#include "clients/bus.h"
#include "runtime/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { KIND_SIZE = 160 };

#define KIND_DISCOVERY "\"$SRV."

/* 'Permissions Violation for Publish to "$JS.API.CONSUMER.DELETE.ADS_0.reader_1"' */
static void name_kind(const char *why, char kind[KIND_SIZE])
{
    const char *stream = strstr(why, "." STREAM_PREFIX);
    const char *last_dot = stream != NULL ? stream : strrchr(why, '.');

    if (strstr(why, KIND_DISCOVERY) != NULL)
        (void)snprintf(kind, KIND_SIZE, KIND_DISCOVERY);
    else
        (void)snprintf(kind, KIND_SIZE, "%.*s",
                       (int)(last_dot == NULL ? strlen(why) : (size_t)(last_dot - why)), why);
}

bool bus_errors_is_news(const char *why)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char told[BUS_ERRORS_KINDS_MAX][KIND_SIZE]; /* a ring */
    static size_t next;
    char kind[KIND_SIZE];
    bool is_news = true;

    name_kind(why, kind);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < BUS_ERRORS_KINDS_MAX; i++)
        is_news = is_news && strcmp(told[i], kind) != 0;
    if (is_news)
        (void)snprintf(told[next++ % BUS_ERRORS_KINDS_MAX], KIND_SIZE, "%s", kind);
    pthread_mutex_unlock(&lock);
    return is_news;
}

static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status,
                     void *closure)
{
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last);
    const char *why = text == NULL || last != status ? natsStatus_GetText(status) : text;

    (void)connection;
    (void)subscription;
    (void)closure;
    if (status == NATS_NOT_PERMITTED && bus_errors_is_news(why))
        log_warn("nats_not_permitted", "why=\"%s\"", why);
    else
        log_debug("nats_error", "why=\"%s\"", why);
}

natsStatus bus_errors_log(natsOptions *options)
{
    return natsOptions_SetErrorHandler(options, on_error, NULL);
}
