#include "clients/bus.h"

#include "base/auto.h"
#include "base/told.h"
#include "clients/bus_errors.h"
#include "clients/bus_guard.h"
#include "clients/bus_inbox.h"
#include "clients/bus_move.h"
#include "clients/bus_version.h"
#include "clients/bus_watch.h"
#include "clients/clients_metrics.h"
#include "clients/discovery.h"
#include "clients/endpoint.h"
#include "clients/nats_address.h"
#include "clients/nats_tls.h"
#include "runtime/log.h"

#include <pthread.h>
#include <stdatomic.h>
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
    MOVE_MS = 4000, /* likewise, while the connection to the former address works */
    URLS_MAX = 16,
    URL_MAX = 512,
};

/* What a dial brings. */
struct link {
    natsConnection *connection;
    jsCtx *jetstream;
    struct bus_watch *watch;
    struct discovery *discovery; /* NULL: nothing is answered */
    uint64_t version;            /* of the endpoint */
};

struct bus {
    struct bus_options options;
    struct bus_guard guard;
    struct bus_ended ended;
    _Atomic uint64_t version; /* of the endpoint, that the connection was made with */

    struct bus_move move; /* what follows belongs to its thread */
    struct told last_failure;

    /* Guards what follows, for moments only; apart, so that a const bus can be locked. */
    pthread_mutex_t *lock;
    natsConnection *connection;
    jsCtx *jetstream;
    struct bus_watch *watch; /* of the connection, as is discovery */
    struct discovery *discovery;
    natsConnection *retired[BUS_RETIRED_MAX]; /* a ring */
    jsCtx *retired_jetstream[BUS_RETIRED_MAX];
    uint64_t generation; /* how many connections there have been */
};

static bool dial(const struct bus_options *options, struct link *out, struct error *err);
static bool check_version(natsConnection *connection, int wait_ms, struct error *err);
static void rebuild(struct bus *bus);
static void try_anew(void *ctx);

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

/* Only of TLS is it worth the longer text: which certificate is wrong, and why. */
const char *bus_status_text(natsStatus status)
{
    natsStatus last = NATS_OK;
    const char *text = nats_GetLastError(&last);

    return status == NATS_SSL_ERROR && last == status && text != NULL ? text
                                                                      : natsStatus_GetText(status);
}

static bool fail(struct error *err, enum error_kind kind, const char *what, natsStatus status)
{
    return error_set(err, kind, "nats: %s: %s", what, bus_status_text(status));
}

/* Splits the list into what libnats takes: an array. It copies the strings. */
static natsStatus set_servers(natsOptions *options, const char *list)
{
    AUTO(endpoint_text_free) char *urls = strdup(list);
    const char *servers[URLS_MAX];
    size_t size = urls == NULL ? 0 : strlen(urls);
    int count = 0;
    char *rest = NULL;
    natsStatus status = NATS_INVALID_ARG;

    if (urls == NULL)
        return NATS_NO_MEMORY;
    for (char *url = strtok_r(urls, ", ", &rest); url != NULL; url = strtok_r(NULL, ", ", &rest)) {
        if (count == URLS_MAX)
            return NATS_INVALID_ARG;
        servers[count++] = url;
    }
    if (count > 0)
        status = natsOptions_SetServers(options, servers, count);
    explicit_bzero(urls, size); /* strtok_r has cut it */
    return status;
}

static bool set_security(natsOptions *options, const struct nats_address *address,
                         struct error *err)
{
    natsStatus status = NATS_OK;

    if (nats_address_wants_tls(address))
        status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && *address->ca != '\0')
        status = natsOptions_SetCATrustedCertificates(options, address->ca);
    if (status != NATS_OK)
        return fail(err, ERROR_INVALID, "NATS_CA", status);
    if (*address->cert != '\0')
        status = natsOptions_SetCertificatesChain(options, address->cert, address->key);
    if (status != NATS_OK)
        return fail(err, ERROR_INVALID, "NATS_CERT, NATS_KEY", status);
    if (*address->creds_file != '\0')
        status = natsOptions_SetUserCredentialsFromFiles(options, address->creds_file, NULL);
    return status == NATS_OK || fail(err, ERROR_INVALID, "NATS_CREDS_FILE", status);
}

natsOptions *bus_options_new(const struct bus_options *options, uint64_t *out_version,
                             struct error *err)
{
    AUTO(nats_address_wipe) struct nats_address address = {0};
    AUTO(free_options) natsOptions *nats = NULL;
    natsStatus status = natsOptions_Create(&nats);

    if (status == NATS_OK && !nats_address_read(options->endpoint, out_version, &address))
        status = NATS_NO_MEMORY;
    if (status != NATS_OK) {
        (void)fail(err, ERROR_LIMIT, "options", status);
        return NULL;
    }
    nats_tls_watch();
    const natsStatus results[] = {
        set_servers(nats, address.urls),
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
        bus_errors_log(nats),
    };

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i] != NATS_OK) {
            (void)fail(err, ERROR_INVALID, i == 0 ? "NATS_URL" : "options", results[i]);
            return NULL;
        }
    }
    return set_security(nats, &address, err) ? TAKE(nats) : NULL;
}

struct bus *bus_open(const struct bus_options *options, struct error *err)
{
    AUTO(bus_close) struct bus *bus = calloc(1, sizeof(*bus));
    struct link link;

    if (bus != NULL)
        bus->lock = malloc(sizeof(pthread_mutex_t));
    if (bus == NULL || bus->lock == NULL) {
        error_set(err, ERROR_LIMIT, "nats: no memory");
        return NULL;
    }
    bus->options = *options;
    bus_guard_init(&bus->guard, options->request_ms);
    bus_ended_init(&bus->ended);
    bus_move_init(&bus->move, options->name, try_anew, bus);
    pthread_mutex_init(bus->lock, NULL);
    if (!dial(options, &link, err))
        return NULL;
    bus->connection = link.connection;
    bus->jetstream = link.jetstream;
    bus->watch = link.watch;
    bus->discovery = link.discovery;
    atomic_init(&bus->version, link.version);
    bus->generation = 1;
    return TAKE(bus);
}

static bool dial(const struct bus_options *options, struct link *out, struct error *err)
{
    AUTO(free_options) natsOptions *nats = bus_options_new(options, &out->version, err);
    AUTO(free_connection) natsConnection *connection = NULL;
    AUTO(bus_watch_drop) struct bus_watch *watch = nats == NULL ? NULL : bus_watch_new(nats);
    jsOptions js_options;
    natsStatus status;

    if (nats == NULL)
        return false;
    if (watch == NULL)
        return error_set(err, ERROR_LIMIT, "nats: no memory");
    if (options->is_discoverable)
        discovery_prepare(nats);
    status = natsConnection_Connect(&connection, nats);
    if (status != NATS_OK) {
        bus_watch_abandon(watch);
        return fail(err, ERROR_UNAVAILABLE, "connect", status);
    }
    if (!check_version(connection, options->connect_ms, err))
        return error_wrap(err, "nats");
    jsOptions_Init(&js_options);
    js_options.Wait = options->request_ms;
    status = natsConnection_JetStream(&out->jetstream, connection, &js_options);
    if (status != NATS_OK)
        return fail(err, ERROR_UNAVAILABLE, "JetStream", status);
    out->discovery = options->is_discoverable ? discovery_answer_on(connection) : NULL;
    out->connection = TAKE(connection);
    out->watch = TAKE(watch);
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
    if (self->lock != NULL)
        bus_move_end(&self->move);
    jsCtx_Destroy(self->jetstream);
    natsConnection_Destroy(self->connection);
    discovery_drop(&self->discovery);
    bus_watch_drop(&self->watch);
    for (size_t i = 0; i < BUS_RETIRED_MAX; i++) {
        jsCtx_Destroy(self->retired_jetstream[i]);
        natsConnection_Destroy(self->retired[i]);
    }
    if (self->lock != NULL) {
        bus_ended_end(&self->ended);
        bus_guard_end(&self->guard);
        pthread_mutex_destroy(self->lock);
    }
    free(self->lock);
    free(self);
    *bus = NULL;
}

struct bus_ended *bus_ended(struct bus *bus)
{
    return &bus->ended;
}

static natsConnection *get_connection(const struct bus *bus)
{
    natsConnection *connection;

    pthread_mutex_lock(bus->lock);
    connection = bus->connection;
    pthread_mutex_unlock(bus->lock);
    return connection;
}

/* The connection at one moment. */
struct look {
    uint64_t epoch;
    enum bus_state state;
};

/* The count first, which libnats' callbacks change last: a loss that the epoch knows of is in the
 * state, too. */
static struct look look(const struct bus *bus)
{
    struct look seen;

    pthread_mutex_lock(bus->lock);
    seen.epoch = (bus->generation << 32) + bus_watch_changes(bus->watch);
    seen.state = bus_watch_state(bus->watch);
    pthread_mutex_unlock(bus->lock);
    return seen;
}

bool bus_is_connected(const struct bus *bus)
{
    return look(bus).state == BUS_UP;
}

/* Closed for good, or the endpoint says something else by now. */
static bool is_wanting(const struct bus *bus)
{
    return atomic_load(&bus->version) != endpoint_version(bus->options.endpoint) ||
           look(bus).state == BUS_CLOSED;
}

natsConnection *bus_connection(struct bus *bus)
{
    if (is_wanting(bus))
        rebuild(bus);
    bus_ended_sweep(&bus->ended);
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

/* Who waits on the old connection is told at once, and asks again. */
static void replace(struct bus *bus, const struct link *link)
{
    size_t slot = bus->generation % BUS_RETIRED_MAX;
    natsConnection *oldest = bus->retired[slot];
    jsCtx *oldest_jetstream = bus->retired_jetstream[slot];
    natsConnection *old = bus->connection;
    struct bus_watch *old_watch = bus->watch;
    struct discovery *old_discovery = bus->discovery;

    pthread_mutex_lock(bus->lock);
    bus->retired_jetstream[slot] = bus->jetstream;
    bus->retired[slot] = old;
    bus->jetstream = link->jetstream;
    bus->connection = link->connection;
    bus->watch = link->watch;
    bus->discovery = link->discovery;
    bus->generation++;
    pthread_mutex_unlock(bus->lock);
    atomic_store(&bus->version, link->version);
    natsConnection_Close(old);
    discovery_drop(&old_discovery);
    bus_watch_drop(&old_watch);
    jsCtx_Destroy(oldest_jetstream);
    natsConnection_Destroy(oldest);
    clients_count(METRIC_nats_rebuilds_total, 1);
}

/* On the move's thread. Whoever started it may have seen what the try before has mended since. */
static void try_anew(void *ctx)
{
    struct bus *bus = ctx;
    struct link link;
    struct error err = {0};

    if (!is_wanting(bus))
        return;
    if (dial(&bus->options, &link, &err)) {
        replace(bus, &link);
        told_reset(&bus->last_failure);
        log_info("nats_connected_anew", "name=\"%s\"", bus->options.name);
    } else if (told_is_news(&bus->last_failure, &err)) {
        log_warn("nats_connect_failed", "name=\"%s\" why=\"%s\"", bus->options.name, err.text);
    }
}

/* A new address is tried at once, and then from time to time. Only who has no connection that works
 * waits for one, if it has started the try itself. */
static void rebuild(struct bus *bus)
{
    bool is_connected = bus_is_connected(bus);

    if (bus_move_start(&bus->move, endpoint_version(bus->options.endpoint),
                       is_connected ? MOVE_MS : REBUILD_MS) &&
        !is_connected)
        bus_move_wait(&bus->move, bus->options.connect_ms);
}

int bus_request_ms(const struct bus *bus)
{
    return bus->options.request_ms;
}

/* A connection that was closed for good is made anew though the breaker is open: a new one ends the
 * cooldown. */
bool bus_ask(struct bus *bus, struct breaker_permit *out_permit)
{
    struct look seen;

    (void)bus_connection(bus);
    seen = look(bus);
    return bus_guard_ask(&bus->guard, seen.state == BUS_UP, seen.epoch, out_permit);
}

void bus_tell(struct bus *bus, const struct breaker_permit *permit, enum error_kind kind)
{
    bus_guard_tell(&bus->guard, permit, bus_is_connected(bus), kind);
}

uint64_t bus_epoch(const struct bus *bus)
{
    return look(bus).epoch;
}
