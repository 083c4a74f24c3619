#include "gateway.h"

#include "access.h"
#include "admission.h"
#include "auditor.h"
#include "base/auto.h"
#include "board_room.h"
#include "catalogue.h"
#include "clients/discovery.h"
#include "collector.h"
#include "control.h"
#include "event/decode.h"
#include "event/event_id.h"
#include "keep_lines.h"
#include "metrics.h"
#include "query.h"
#include "query_pool.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

enum {
    REDIS_CONNECT_MS = 1000,
    REDIS_PENDING_MAX = 4096, /* transactions a loop that wait for Redis */
    POOL_THREADS = 2,
    POOL_QUEUE_MAX = 256,
    POOL_CONNECT_MS = 2000,
    PROOF_THREADS = 1,
    PROOF_QUEUE_MAX = 32,
};

static size_t on_components(void *ctx, struct service_component *out, size_t max);
static void on_stream_missing(void *ctx);
static void on_connected(void *ctx, bool is_connected);
static void report_redis(struct gateway_thread *self);
static void report_stream(struct gateway_thread *self);
static void report_queue(struct gateway_thread *self);
static void report_ranges(struct gateway_thread *self);

static bool open_query_pool(struct gateway *gateway, struct error *err)
{
    const struct query_pool_options options = {
        .postgres = gateway->settings->endpoints.live.postgres,
        .name = QUERY_POOL_QUERY,
        .application = "adledger gateway query",
        .what = "query",
        .threads = POOL_THREADS,
        .queue_max = POOL_QUEUE_MAX,
        .connect_ms = POOL_CONNECT_MS,
        .query_ms = (int)gateway->settings->query_deadline_ms,
        .slow_ms = (int)gateway->settings->pg_slow_ms,
    };

    gateway->query_pool = query_pool_open(&options, err);
    return gateway->query_pool != NULL;
}

static bool open_zones(struct gateway *gateway, struct error *err)
{
    gateway->zones = zones_new(ZONE_DIRECTORY);
    if (gateway->zones == NULL)
        return error_set(err, ERROR_LIMIT, "gateway: no memory for time zones");
    if (zones_count(gateway->zones) == 0)
        log_warn("time_zones_missing", "directory=%s", ZONE_DIRECTORY);
    return true;
}

/* A pool of its own: an audit of a whole day must not stand before a question of analytics. */
static bool open_proof_pool(struct gateway *gateway, struct error *err)
{
    const struct query_pool_options options = {
        .postgres = gateway->settings->endpoints.live.postgres,
        .name = QUERY_POOL_PROOF,
        .application = "adledger gateway proof",
        .what = "proof",
        .threads = PROOF_THREADS,
        .queue_max = PROOF_QUEUE_MAX,
        .connect_ms = POOL_CONNECT_MS,
        .query_ms = (int)gateway->settings->proof_deadline_ms,
        .slow_ms = (int)gateway->settings->proof_deadline_ms, /* to read a day takes its time */
    };

    gateway->proof_pool = query_pool_open(&options, err);
    return gateway->proof_pool != NULL;
}

static bool open_auditor(struct gateway *gateway, struct error *err)
{
    const struct settings *settings = gateway->settings;
    const struct auditor_options options = {
        .postgres = settings->endpoints.live.postgres,
        .interval_ms = settings->audit_interval_ms,
        .span_ms = settings->audit_span_ms,
        .settle_ms = settings->audit_settle_ms,
    };

    gateway->auditor = auditor_open(&options, err);
    return gateway->auditor != NULL;
}

/* What the gauges of queues and places are to be compared with. */
static void show_limits(const struct settings *settings)
{
    double lanes = (double)settings->worker_count * (double)settings->partitions;

    gateway_set(GATEWAY_loops, (double)settings->worker_count);
    gateway_set(GATEWAY_batches_inflight_max, (double)settings->inflight_max * lanes);
    gateway_set(GATEWAY_lane_queue_max_bytes, (double)settings->lane_queue_bytes * lanes);
    gateway_set(GATEWAY_keep_queue_max_bytes, (double)settings->keep_queue_bytes);
    gateway_set(GATEWAY_boards_max, (double)BOARDS_MAX * (double)settings->worker_count);
}

/* Its id is the one that the audit knows it by. */
static void be_discoverable(const struct gateway *gateway)
{
    const struct discovery_options options = {
        .description = "takes events over HTTP and answers what was counted",
        .id = gateway->id,
        .http_port = gateway->settings->http_port,
        .partitions = gateway->settings->partitions,
    };

    discovery_init(gateway->service, &options);
}

bool gateway_open(struct gateway *gateway, const struct settings *settings, struct service *service,
                  struct admission *admission, struct error *err)
{
    const struct catalogue_options options = {
        .postgres = settings->endpoints.live.postgres,
        .file = settings->catalogue_file,
        .refresh_ms = (int)settings->catalogue_refresh_ms,
        .ads_max = (size_t)settings->catalogue_ads_max,
    };

    *gateway = (struct gateway){.settings = settings, .service = service, .admission = admission};
    event_id_make(clock_at_ms(), gateway->id);
    be_discoverable(gateway);
    if (!open_zones(gateway, err))
        return false;
    gateway->catalogue = catalogue_open(&options, err);
    if (gateway->catalogue == NULL)
        return false;
    if (!open_query_pool(gateway, err) || !open_proof_pool(gateway, err) ||
        !open_auditor(gateway, err))
        return false;
    gateway->keep_lines = keep_lines_open(settings, err);
    if (gateway->keep_lines == NULL)
        return false;
    gateway->spool = keep_lines_spool(gateway->keep_lines);
    gateway->inbox = keep_lines_inbox(gateway->keep_lines);
    gateway->control = control_open(gateway, err);
    if (gateway->control == NULL)
        return false;
    show_limits(settings);
    service_set_components(service, on_components, gateway);
    return true;
}

void gateway_close(struct gateway *gateway)
{
    if (gateway->service != NULL)
        service_set_components(gateway->service, NULL, NULL);
    control_close(&gateway->control);
    gateway->spool = gateway->inbox = NULL;
    keep_lines_close(&gateway->keep_lines);
    auditor_close(&gateway->auditor);
    query_pool_close(&gateway->proof_pool);
    query_pool_close(&gateway->query_pool);
    catalogue_close(&gateway->catalogue);
    zones_free(&gateway->zones);
}

static struct service_component describe_nats(const struct gateway *gateway)
{
    int connected = atomic_load(&gateway->loops_connected);
    int streaming = atomic_load(&gateway->loops_streaming);
    int loops = (int)gateway->settings->worker_count;
    bool has_streams = control_has_streams(gateway->control);
    struct service_component nats = {.name = "nats", .state = "up"};

    if (streaming == loops && has_streams)
        return nats;
    nats.state = streaming == 0 ? "down" : "degraded";
    (void)snprintf(nats.detail, sizeof(nats.detail),
                   "%d of %d loops are connected, %d of them are not stopped by their breaker%s",
                   connected, loops, streaming,
                   has_streams ? "" : ", the streams are not there yet");
    return nats;
}

static struct service_component describe_redis(const struct gateway *gateway)
{
    int connected = atomic_load(&gateway->queries_connected);
    int loops = (int)gateway->settings->worker_count;
    struct service_component redis = {.name = "redis", .state = "up"};

    if (connected == loops)
        return redis;
    redis.state = connected == 0 ? "down" : "degraded";
    (void)snprintf(redis.detail, sizeof(redis.detail), "%d of %d loops are connected", connected,
                   loops);
    return redis;
}

static struct service_component describe_postgres(const struct gateway *gateway)
{
    struct service_component postgres = {.name = "postgres", .state = "up"};

    if (catalogue_is_following(gateway->catalogue))
        return postgres;
    postgres.state = "down";
    (void)snprintf(postgres.detail, sizeof(postgres.detail), "the ads cannot be read");
    return postgres;
}

static bool is_down(const struct service_component *component)
{
    return strcmp(component->state, "down") == 0;
}

/* NATS is missed only when nothing else keeps an event. */
static size_t on_components(void *ctx, struct service_component *out, size_t max)
{
    const struct gateway *gateway = ctx;
    struct service_component components[] = {describe_nats(gateway),
                                             keep_lines_describe_spool(gateway->keep_lines),
                                             keep_lines_describe_inbox(gateway->keep_lines),
                                             describe_postgres(gateway), describe_redis(gateway)};
    size_t count = sizeof(components) / sizeof(components[0]);

    components[0].is_critical = is_down(&components[1]) && is_down(&components[2]);
    for (size_t i = 0; i < count && i < max; i++)
        out[i] = components[i];
    return count < max ? count : max;
}

static void free_thread(struct gateway_thread **thread)
{
    struct gateway_thread *self = *thread;

    if (self == NULL)
        return;
    query_close(&self->query); /* turns the loop once more: what comes needs the rest of this */
    collector_close(&self->collector);
    decoder_free(&self->decoder);
    catalogue_drop(&self->catalogue);
    access_drop(&self->access);
    free(self);
    *thread = NULL;
}

static bool open_query(struct gateway_thread *self, struct error *err)
{
    const struct settings *settings = self->settings;
    const struct query_options options = {
        .redis = {.endpoint = settings->endpoints.live.redis,
                  .connect_ms = REDIS_CONNECT_MS,
                  .batch_ms = (int)settings->query_deadline_ms,
                  .slow_ms = (int)settings->redis_slow_ms,
                  .thread = (unsigned)self->server->index,
                  .pending_max = REDIS_PENDING_MAX},
        .pool = self->gateway->query_pool,
        .proof_pool = self->gateway->proof_pool,
        .zones = self->gateway->zones,
        .partitions = (uint32_t)settings->partitions,
        .cache_ms = settings->query_cache_ms,
        .board_cache_ms = settings->board_cache_ms,
        .stale_after_ms = settings->stale_after_ms,
    };

    self->query = query_new(&self->server->h2o, &options, err);
    if (self->query == NULL)
        return false;
    query_turn(self->query, self->catalogue, self->server->now_ms, self->server->at_ms);
    if (self->query->catalogue == NULL)
        return error_set(err, ERROR_LIMIT, "query: no memory for what is known of the ads");
    return true;
}

static bool open_collector(struct gateway_thread *self, struct error *err)
{
    const struct collector_options options = {
        .settings = self->settings,
        .gateway_id = self->gateway->id,
        .thread = self->server,
        .spool = self->gateway->spool,
        .inbox = self->gateway->inbox,
        .on_stream_missing = on_stream_missing,
        .on_connected = on_connected,
        .ctx = self->gateway,
    };

    self->collector = collector_open(&options, err);
    return self->collector != NULL;
}

bool gateway_on_thread_start(void *ctx, struct server_thread *thread, struct error *err)
{
    struct gateway *gateway = ctx;
    AUTO(free_thread) struct gateway_thread *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return error_set(err, ERROR_LIMIT, "gateway: no memory for a thread");
    self->gateway = gateway;
    self->server = thread;
    self->settings = gateway->settings;
    self->salt_day = -1;
    catalogue_take(gateway->catalogue, &self->catalogue);
    access_take(gateway->admission->board, &self->access);
    self->decoder = decoder_new();
    if (self->decoder == NULL)
        return error_set(err, ERROR_LIMIT, "gateway: no memory for a decoder");
    thread->app = self;
    if (!open_query(self, err) || !open_collector(self, err)) {
        thread->app = NULL;
        return false;
    }
    (void)TAKE(self); /* thread->app owns it now */
    return true;
}

static void on_stream_missing(void *ctx)
{
    struct gateway *gateway = ctx;

    control_stream_missing(gateway->control);
}

static void on_connected(void *ctx, bool is_connected)
{
    struct gateway *gateway = ctx;
    int change = is_connected ? 1 : -1;

    (void)atomic_fetch_add(&gateway->loops_connected, change);
    gateway_count(GATEWAY_loops_connected, change);
}

void gateway_on_turn(void *ctx, struct server_thread *thread)
{
    struct gateway_thread *self = thread->app;
    const struct catalogue_snapshot *before = self->catalogue;

    (void)ctx;
    catalogue_take(self->gateway->catalogue, &self->catalogue);
    if (self->catalogue != before)
        self->salt_day = -1;
    admission_turn(self);
    collector_turn(self->collector);
    query_turn(self->query, self->catalogue, thread->now_ms, thread->at_ms);
    report_redis(self);
    report_stream(self);
    report_queue(self);
    report_ranges(self);
}

static void report_redis(struct gateway_thread *self)
{
    bool is_up = query_redis_is_up(self->query);

    if (is_up == self->has_redis)
        return;
    self->has_redis = is_up;
    (void)atomic_fetch_add(&self->gateway->queries_connected, is_up ? 1 : -1);
}

static void report_stream(struct gateway_thread *self)
{
    bool is_streaming = collector_is_streaming(self->collector);

    if (is_streaming == self->has_stream)
        return;
    self->has_stream = is_streaming;
    (void)atomic_fetch_add(&self->gateway->loops_streaming, is_streaming ? 1 : -1);
}

/* Each loop adds what has changed: a sum that one loop sets could be older than another's. */
static void report_queue(struct gateway_thread *self)
{
    int64_t bytes = (int64_t)collector_queued_bytes(self->collector);
    int64_t change = bytes - self->queued_bytes;

    if (change == 0)
        return;
    self->queued_bytes = bytes;
    gateway_count(GATEWAY_lane_queue_bytes, change);
}

static void report_ranges(struct gateway_thread *self)
{
    int64_t ranges = (int64_t)collector_ranges(self->collector);
    int64_t change = ranges - self->ledger_ranges;

    if (change == 0)
        return;
    self->ledger_ranges = ranges;
    gateway_count(GATEWAY_ledger_ranges, change);
}

bool gateway_on_idle(void *ctx, struct server_thread *thread)
{
    const struct gateway_thread *self = thread->app;

    (void)ctx;
    return collector_leave(self->collector) && query_is_idle(self->query);
}

void gateway_on_thread_stop(void *ctx, struct server_thread *thread)
{
    struct gateway_thread *self = thread->app;

    (void)ctx;
    free_thread(&self);
    thread->app = NULL;
}
