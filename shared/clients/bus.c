#include "clients/bus.h"

#include "base/auto.h"
#include "clients/bus_version.h"
#include "clients/clients_metrics.h"
#include "runtime/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * A frozen server is noticed after PING_MS * (PINGS_MAX + 1); a server that comes back is found
 * within RECONNECT_MS + RECONNECT_JITTER_MS. A reconnect buffer of one byte makes a publish without
 * a connection fail at once, so that its owner can decide instead of libnats sending it late.
 */
enum {
    PING_MS = 2000,
    PINGS_MAX = 2,
    RECONNECT_MS = 100,
    RECONNECT_JITTER_MS = 100,
    RECONNECT_BUFFER_BYTES = 1,
    REBUILD_MS = 1000,
    URLS_MAX = 16,
    URL_MAX = 512,
};

struct bus {
    struct bus_options options;
    pthread_mutex_t rebuilding; /* held while a connection that was closed for good is made anew */
    int64_t rebuild_after_ms;   /* guarded by rebuilding */

    /* Guards what follows, for moments only; apart, so that a const bus can be locked. */
    pthread_mutex_t *lock;
    natsConnection *connection;
    jsCtx *jetstream;
    natsConnection *retired[BUS_RETIRED_MAX]; /* a ring */
    jsCtx *retired_jetstream[BUS_RETIRED_MAX];
    uint64_t generation; /* how many connections there have been */
};

static bool dial(const struct bus_options *options, natsConnection **out_connection,
                 jsCtx **out_jetstream, struct error *err);
static bool check_version(natsConnection *connection, int wait_ms, struct error *err);
static void rebuild(struct bus *bus);

static void free_options(natsOptions **options)
{
    natsOptions_Destroy(*options);
    *options = NULL;
}

static void free_connection(natsConnection **connection)
{
    natsConnection_Destroy(*connection);
    *connection = NULL;
}

static void free_statistics(natsStatistics **statistics)
{
    natsStatistics_Destroy(*statistics);
    *statistics = NULL;
}

static bool fail(struct error *err, enum error_kind kind, const char *what, natsStatus status)
{
    return error_set(err, kind, "nats: %s: %s", what, natsStatus_GetText(status));
}

/* Splits the list into what libnats takes: an array. It copies the strings. */
static natsStatus set_servers(natsOptions *options, const char *urls)
{
    AUTO(auto_free) char *copy = strdup(urls);
    const char *servers[URLS_MAX];
    int count = 0;
    char *rest = NULL;

    if (copy == NULL)
        return NATS_NO_MEMORY;
    for (char *url = strtok_r(copy, ", ", &rest); url != NULL; url = strtok_r(NULL, ", ", &rest)) {
        if (count == URLS_MAX)
            return NATS_INVALID_ARG;
        servers[count++] = url;
    }
    return count == 0 ? NATS_INVALID_ARG : natsOptions_SetServers(options, servers, count);
}

natsOptions *bus_options_new(const struct bus_options *options, struct error *err)
{
    AUTO(free_options) natsOptions *nats = NULL;
    natsStatus status = natsOptions_Create(&nats);

    if (status != NATS_OK) {
        (void)fail(err, ERROR_LIMIT, "options", status);
        return NULL;
    }
    const natsStatus results[] = {
        set_servers(nats, options->url),
        natsOptions_SetName(nats, options->name),
        natsOptions_SetTimeout(nats, options->connect_ms),
        natsOptions_SetWriteDeadline(nats, options->request_ms),
        natsOptions_SetMaxReconnect(nats, -1),
        natsOptions_SetReconnectWait(nats, RECONNECT_MS),
        natsOptions_SetReconnectJitter(nats, RECONNECT_JITTER_MS, RECONNECT_JITTER_MS),
        natsOptions_SetReconnectBufSize(nats, RECONNECT_BUFFER_BYTES),
        natsOptions_SetPingInterval(nats, PING_MS),
        natsOptions_SetMaxPingsOut(nats, PINGS_MAX),
        natsOptions_SetSendAsap(nats, true),
        natsOptions_SetFailRequestsOnDisconnect(nats, true),
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i] != NATS_OK) {
            (void)fail(err, ERROR_INVALID, i == 0 ? "NATS_URL" : "options", results[i]);
            return NULL;
        }
    }
    return TAKE(nats);
}

struct bus *bus_open(const struct bus_options *options, struct error *err)
{
    AUTO(bus_close) struct bus *bus = calloc(1, sizeof(*bus));

    if (bus != NULL)
        bus->lock = malloc(sizeof(pthread_mutex_t));
    if (bus == NULL || bus->lock == NULL) {
        error_set(err, ERROR_LIMIT, "nats: no memory");
        return NULL;
    }
    bus->options = *options;
    pthread_mutex_init(&bus->rebuilding, NULL);
    pthread_mutex_init(bus->lock, NULL);
    if (!dial(options, &bus->connection, &bus->jetstream, err))
        return NULL;
    bus->generation = 1;
    return TAKE(bus);
}

static bool dial(const struct bus_options *options, natsConnection **out_connection,
                 jsCtx **out_jetstream, struct error *err)
{
    AUTO(free_options) natsOptions *nats = bus_options_new(options, err);
    AUTO(free_connection) natsConnection *connection = NULL;
    jsOptions js_options;
    natsStatus status;

    if (nats == NULL)
        return false;
    status = natsConnection_Connect(&connection, nats);
    if (status == NATS_CONNECTION_AUTH_FAILED)
        return fail(err, ERROR_INTERNAL, "connect", status);
    if (status != NATS_OK)
        return fail(err, ERROR_UNAVAILABLE, "connect", status);
    if (!check_version(connection, options->connect_ms, err))
        return error_wrap(err, "nats");
    jsOptions_Init(&js_options);
    js_options.Wait = options->request_ms;
    status = natsConnection_JetStream(out_jetstream, connection, &js_options);
    if (status != NATS_OK)
        return fail(err, ERROR_UNAVAILABLE, "JetStream", status);
    *out_connection = TAKE(connection);
    return true;
}

/* "nats://host:port" or "nats://[v6]:port", as libnats shows it, cut in place. */
static bool split_url(char *url, char **out_host, char **out_port)
{
    char *scheme_end = strstr(url, "://");
    char *host = scheme_end == NULL ? url : scheme_end + strlen("://");
    char *login_end = strrchr(host, '@');
    char *colon;

    if (login_end != NULL)
        host = login_end + 1;
    colon = strrchr(host, ':');
    if (colon == NULL || colon == host)
        return false;
    *colon = '\0';
    *out_port = colon + 1;
    if (host[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        host++;
    }
    *out_host = host;
    return true;
}

static bool check_version(natsConnection *connection, int wait_ms, struct error *err)
{
    char url[URL_MAX];
    char *host;
    char *port;
    natsStatus status = natsConnection_GetConnectedUrl(connection, url, sizeof(url));

    if (status != NATS_OK || !split_url(url, &host, &port))
        return error_set(err, ERROR_UNAVAILABLE, "connection lost");
    return bus_version_check(host, port, wait_ms, err);
}

void bus_close(struct bus **bus)
{
    struct bus *self = *bus;

    if (self == NULL)
        return;
    jsCtx_Destroy(self->jetstream);
    natsConnection_Destroy(self->connection);
    for (size_t i = 0; i < BUS_RETIRED_MAX; i++) {
        jsCtx_Destroy(self->retired_jetstream[i]);
        natsConnection_Destroy(self->retired[i]);
    }
    if (self->lock != NULL) {
        pthread_mutex_destroy(self->lock);
        pthread_mutex_destroy(&self->rebuilding);
    }
    free(self->lock);
    free(self);
    *bus = NULL;
}

static natsConnection *get_connection(const struct bus *bus)
{
    natsConnection *connection;

    pthread_mutex_lock(bus->lock);
    connection = bus->connection;
    pthread_mutex_unlock(bus->lock);
    return connection;
}

bool bus_is_connected(const struct bus *bus)
{
    return natsConnection_Status(get_connection(bus)) == NATS_CONN_STATUS_CONNECTED;
}

natsConnection *bus_connection(struct bus *bus)
{
    if (natsConnection_IsClosed(get_connection(bus)))
        rebuild(bus);
    return get_connection(bus);
}

jsCtx *bus_jetstream(struct bus *bus)
{
    jsCtx *jetstream;

    (void)bus_connection(bus);
    pthread_mutex_lock(bus->lock);
    jetstream = bus->jetstream;
    pthread_mutex_unlock(bus->lock);
    return jetstream;
}

static void replace(struct bus *bus, natsConnection *connection, jsCtx *jetstream)
{
    size_t slot = bus->generation % BUS_RETIRED_MAX;

    pthread_mutex_lock(bus->lock);
    jsCtx_Destroy(bus->retired_jetstream[slot]);
    natsConnection_Destroy(bus->retired[slot]);
    bus->retired_jetstream[slot] = bus->jetstream;
    bus->retired[slot] = bus->connection;
    bus->jetstream = jetstream;
    bus->connection = connection;
    bus->generation++;
    pthread_mutex_unlock(bus->lock);
    clients_count(METRIC_nats_rebuilds_total, 1);
}

/* The caller waits connect_ms at most; other threads meanwhile go on with the closed connection. */
static void rebuild(struct bus *bus)
{
    natsConnection *connection = NULL;
    jsCtx *jetstream = NULL;
    struct error ignored; /* the closed connection refuses every call until a dial succeeds */
    int64_t now_ms = clock_now_ms();

    if (pthread_mutex_trylock(&bus->rebuilding) != 0)
        return;
    if (now_ms >= bus->rebuild_after_ms && natsConnection_IsClosed(get_connection(bus))) {
        bus->rebuild_after_ms = now_ms + REBUILD_MS;
        if (dial(&bus->options, &connection, &jetstream, &ignored))
            replace(bus, connection, jetstream);
    }
    pthread_mutex_unlock(&bus->rebuilding);
}

int bus_request_ms(const struct bus *bus)
{
    return bus->options.request_ms;
}

uint64_t bus_epoch(const struct bus *bus)
{
    AUTO(free_statistics) natsStatistics *statistics = NULL;
    uint64_t reconnects = 0;
    uint64_t generation;

    if (natsStatistics_Create(&statistics) != NATS_OK)
        return 0; /* no memory: callers take it for a loss, which is safe */
    pthread_mutex_lock(bus->lock);
    generation = bus->generation;
    natsConnection_GetStats(bus->connection, statistics);
    pthread_mutex_unlock(bus->lock);
    natsStatistics_GetCounts(statistics, NULL, NULL, NULL, NULL, &reconnects);
    return (generation << 32) + reconnects;
}
