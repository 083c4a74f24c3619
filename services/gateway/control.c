#include "control.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "base/told.h"
#include "catalogue.h"
#include "clients/bus.h"
#include "gateway.h"
#include "keep_lines.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "settings.h"
#include "stopper.h"
#include "stream_watch.h"

#include <pthread.h>
#include <string.h>

enum {
    CONNECT_MS = 2000,
    REQUEST_MS = 2000,
    POLL_MS = 50,   /* how often readiness is looked at until it is there */
    IDLE_MS = 1000, /* between two looks afterwards */
    RETRY_BASE_MS = 50,
    RETRY_CAP_MS = 1000,
    STREAM_WAIT_MS = 3000, /* at a start, before the spool alone is good enough */
};

struct control {
    struct gateway *gateway; /* borrowed */
    pthread_t thread;
    struct stopper stopper;
    atomic_bool has_streams;
    /* The thread's own from here on. */
    int64_t started_ms; /* monotonic */
    struct backoff backoff;
    struct stream_watch *watch; /* owned; NULL: no memory, so nobody watches */
    struct told last_failure;
};

/* The thread's step; the definitions follow in this order. */
static void *on_thread(void *ctx);
static bool ensure_streams(struct control *self, struct error *err);
static void report(struct control *self, const struct error *err);
static void prove_ready(struct control *self);

struct control *control_open(struct gateway *gateway, struct error *err)
{
    struct control *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "control: no memory");
        return NULL;
    }
    self->gateway = gateway;
    self->started_ms = clock_now_ms();
    backoff_init(&self->backoff, RETRY_BASE_MS, RETRY_CAP_MS, (uint64_t)clock_now_us());
    self->watch = stream_watch_new(gateway->settings->endpoints.live.nats,
                                   (uint32_t)gateway->settings->partitions,
                                   gateway->settings->stream_max_bytes);
    stopper_init(&self->stopper);
    if (pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        (void)error_set(err, ERROR_LIMIT, "control: no thread");
        stream_watch_close(&self->watch);
        stopper_free(&self->stopper);
        free(self);
        return NULL;
    }
    return self;
}

void control_close(struct control **control)
{
    struct control *self = *control;

    if (self == NULL)
        return;
    stopper_stop(&self->stopper);
    pthread_join(self->thread, NULL);
    stream_watch_close(&self->watch);
    stopper_free(&self->stopper);
    free(self);
    *control = NULL;
}

void control_stream_missing(struct control *self)
{
    /* Only the first report wakes the thread: the others must not shorten its backoff. */
    if (atomic_exchange(&self->has_streams, false))
        stopper_wake(&self->stopper);
}

bool control_has_streams(const struct control *self)
{
    return atomic_load(&self->has_streams);
}

static void *on_thread(void *ctx)
{
    struct control *self = ctx;
    struct error err = {0};
    int64_t wait_ms;

    do {
        if (atomic_load(&self->has_streams) || ensure_streams(self, &err)) {
            backoff_reset(&self->backoff);
            told_reset(&self->last_failure);
            wait_ms = service_is_ready(self->gateway->service) ? IDLE_MS : POLL_MS;
        } else {
            report(self, &err);
            wait_ms = backoff_next_ms(&self->backoff);
        }
        prove_ready(self);
        if (service_is_ready(self->gateway->service))
            stream_watch_step(self->watch, clock_now_ms(), clock_at_ms());
    } while (stopper_wait(&self->stopper, wait_ms));
    return NULL;
}

static bool ensure_streams(struct control *self, struct error *err)
{
    const struct settings *settings = self->gateway->settings;
    const struct bus_options options = {.endpoint = settings->endpoints.live.nats,
                                        .name = "adledger-gateway-control",
                                        .connect_ms = CONNECT_MS,
                                        .request_ms = REQUEST_MS};
    const struct stream_limits limits = {.max_bytes = settings->stream_max_bytes,
                                         .dedup_window_ms = settings->stream_dedup_ms,
                                         .replicas = (int)settings->stream_replicas};

    AUTO(bus_close) struct bus *bus = bus_open(&options, err); /* streams are seldom made */

    if (bus == NULL)
        return false;
    for (uint32_t p = 0; p < (uint32_t)settings->partitions; p++) {
        /* The stored positions are ingest's to know; the time alone never reuses a sequence. */
        if (!stream_ensure(bus, p, &limits, 0, clock_at_ms(), err))
            return false;
    }
    log_info("streams_ready", "partitions=%lld", (long long)settings->partitions);
    atomic_store(&self->has_streams, true);
    return true;
}

static void report(struct control *self, const struct error *err)
{
    if (!told_is_news(&self->last_failure, err))
        return;
    if (err->kind == ERROR_INTERNAL || err->kind == ERROR_INVALID)
        log_error("streams_failed", "why=\"%s\"", err->text);
    else
        log_warn("streams_failed", "why=\"%s\"", err->text);
}

/* A first start without PostgreSQL has no ads to know: then events are taken unchecked, and ingest
 * resolves them. */
static bool has_waited_for_ads(const struct control *self)
{
    const struct gateway *gateway = self->gateway;
    const struct catalogue_snapshot *ads = NULL;
    bool is_known;

    if (clock_now_ms() - self->started_ms >= gateway->settings->catalogue_wait_ms)
        return true;
    catalogue_take(gateway->catalogue, &ads);
    is_known = catalogue_is_known(ads);
    catalogue_drop(&ads);
    return is_known;
}

static bool has_stream(const struct control *self)
{
    return atomic_load(&self->has_streams) && atomic_load(&self->gateway->loops_connected) >=
                                                  (int)self->gateway->settings->worker_count;
}

/* The stream at first; after a while the spool will do. */
static bool can_keep(const struct control *self)
{
    struct service_component spool;

    if (has_stream(self))
        return true;
    if (clock_now_ms() - self->started_ms < STREAM_WAIT_MS)
        return false;
    spool = keep_lines_describe_spool(self->gateway->keep_lines);
    return strcmp(spool.state, "down") != 0;
}

static void prove_ready(struct control *self)
{
    struct gateway *gateway = self->gateway;

    if (service_is_ready(gateway->service) || !service_running(gateway->service))
        return;
    if (!can_keep(self) || !has_waited_for_ads(self))
        return;
    service_ready(gateway->service);
}
