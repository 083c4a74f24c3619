#include "crew.h"

#include "clients/bus.h"
#include "clients/lease.h"
#include "runtime/clock.h"
#include "runtime/service.h"
#include "settings.h"
#include "worker.h"

#include <stdio.h>

enum { CONNECT_MS = 2000, REQUEST_MS = 2000 };

static size_t on_components(void *ctx, struct service_component *out, size_t max);

void crew_init(struct crew *crew, const struct settings *settings, struct service *service,
               struct metrics *metrics)
{
    crew->settings = settings;
    crew->service = service;
    crew->metrics = metrics;
    service_set_components(service, on_components, crew);
}

static bool open_bus(struct crew *crew, struct error *err)
{
    const struct bus_options options = {.endpoint = crew->settings->endpoints.live.nats,
                                        .name = "adledger analytics",
                                        .connect_ms = CONNECT_MS,
                                        .request_ms = REQUEST_MS,
                                        .is_discoverable = true};

    if (crew->bus == NULL)
        crew->bus = bus_open(&options, err);
    return crew->bus != NULL;
}

static bool open_leases(struct crew *crew, struct error *err)
{
    const struct lease_options options = {.service = "analytics",
                                          .partition_count = (uint32_t)crew->settings->partitions,
                                          .ttl_ms = (int)crew->settings->lease_ttl_ms};

    if (crew->leases == NULL)
        crew->leases = leases_new(crew->bus, &options, err);
    return crew->leases != NULL;
}

bool crew_open(struct crew *crew, struct error *err)
{
    if (!open_bus(crew, err) || !open_leases(crew, err))
        return false;
    for (uint32_t i = 0; i < (uint32_t)crew->settings->partitions; i++) {
        const struct worker_options options = {.partition = i,
                                               .settings = crew->settings,
                                               .service = crew->service,
                                               .bus = crew->bus,
                                               .leases = crew->leases,
                                               .metrics = crew->metrics};

        if (crew->workers[i] == NULL)
            crew->workers[i] = worker_start(&options, err);
        if (crew->workers[i] == NULL)
            return false;
    }
    atomic_store(&crew->worker_count, (unsigned int)crew->settings->partitions);
    return true;
}

/* A process that holds nothing stands by, which is all it can do. */
static bool is_counting(const struct crew *crew)
{
    unsigned int count = atomic_load(&crew->worker_count);
    int64_t now_ms = clock_now_ms();

    for (uint32_t i = 0; i < count; i++)
        if (leases_is_held(crew->leases, i, now_ms) &&
            worker_health(crew->workers[i]).state != WORKER_COUNTING)
            return false;
    return true;
}

bool crew_step(struct crew *crew, struct error *err)
{
    if (!leases_step(crew->leases, clock_now_ms(), err))
        return false;
    if (!service_is_ready(crew->service) && is_counting(crew))
        service_ready(crew->service);
    return true;
}

void crew_close(struct crew *crew)
{
    for (uint32_t i = 0; i < PARTITIONS_MAX; i++)
        worker_stop(&crew->workers[i]);
    leases_close(&crew->leases);
    bus_close(&crew->bus);
}

/* ---- what /health shows ---- */

struct outlook {
    unsigned int idle, counting, waiting, failing;
    bool is_bus_up, is_pg_known, is_pg_down, is_stream_behind;
};

static struct outlook look(const struct crew *crew)
{
    struct outlook outlook = {0};
    unsigned int count = atomic_load(&crew->worker_count);

    outlook.is_bus_up = count > 0 && bus_is_connected(crew->bus);
    for (uint32_t i = 0; i < count; i++) {
        struct worker_health health = worker_health(crew->workers[i]);

        outlook.idle += health.state == WORKER_IDLE;
        outlook.counting += health.state == WORKER_COUNTING;
        outlook.waiting += health.state == WORKER_WAITING;
        outlook.failing += health.state == WORKER_FAILING;
        if (health.state == WORKER_IDLE || !health.is_keeping)
            continue;
        outlook.is_pg_known = true;
        outlook.is_pg_down |= !health.is_pg_up;
        outlook.is_stream_behind |= health.is_stream_behind;
    }
    return outlook;
}

/* None of them is critical: /health says unavailable only where events cannot be accepted. */

static struct service_component show_nats(const struct outlook *outlook)
{
    struct service_component component = {.name = "nats", .state = "down"};

    if (outlook->is_bus_up)
        component.state = outlook->is_stream_behind ? "degraded" : "up";
    if (outlook->is_stream_behind)
        snprintf(component.detail, sizeof(component.detail),
                 "a stream ends before what has been counted: it has lost messages");
    return component;
}

static struct service_component show_redis(const struct outlook *outlook)
{
    struct service_component component = {.name = "redis", .state = "unknown"};

    if (!outlook->is_bus_up) {
        snprintf(component.detail, sizeof(component.detail), "not asked while NATS is away");
        return component;
    }
    if (outlook->failing > 0)
        component.state = "down";
    else if (outlook->waiting > 0)
        component.state = "degraded";
    else if (outlook->counting > 0)
        component.state = "up";
    snprintf(component.detail, sizeof(component.detail),
             "partitions: %u counting, %u waiting for a rebuild, %u failing, %u elsewhere",
             outlook->counting, outlook->waiting, outlook->failing, outlook->idle);
    return component;
}

/* Counting goes on without PostgreSQL; rebuilding, repairing and trimming wait for it. */
static struct service_component show_postgres(const struct outlook *outlook)
{
    struct service_component component = {.name = "postgres", .state = "unknown"};

    if (outlook->is_pg_known)
        component.state = outlook->is_pg_down ? "down" : "up";
    if (outlook->is_pg_down && outlook->waiting > 0)
        snprintf(component.detail, sizeof(component.detail), "a rebuild waits for it");
    return component;
}

static size_t on_components(void *ctx, struct service_component *out, size_t max)
{
    const struct crew *crew = ctx;
    struct outlook outlook = look(crew);
    const struct service_component all[] = {show_nats(&outlook), show_redis(&outlook),
                                            show_postgres(&outlook)};
    size_t count = 0;

    for (; count < sizeof(all) / sizeof(all[0]) && count < max; count++)
        out[count] = all[count];
    return count;
}
