/*
 * adledger-ingest: reads the streams and keeps every event in PostgreSQL, exactly once.
 */
#include "base/auto.h"
#include "clients/lease.h"
#include "health.h"
#include "http/ops.h"
#include "http/server.h"
#include "ingest_metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "settings.h"
#include "startup.h"
#include "upkeep.h"
#include "workers.h"

#include <string.h>

static void free_settings(struct settings *settings)
{
    config_free(settings_rows, settings);
}

static struct leases *open_leases(const struct settings *settings, struct bus *bus,
                                  struct error *err)
{
    return leases_new(bus,
                      &(struct lease_options){.service = "ingest",
                                              .partition_count = (uint32_t)settings->partitions,
                                              .ttl_ms = (int)settings->lease_ttl_ms},
                      err);
}

static struct upkeep *open_upkeep(const struct settings *settings, struct service *service,
                                  struct error *err)
{
    return upkeep_open(&(struct upkeep_options){.conninfo = settings->endpoints.postgres,
                                                .connect_ms = (int)settings->pg_connect_ms,
                                                .ahead_days = settings->partitions_ahead_days,
                                                .retention_days = settings->retention_days},
                       service, err);
}

static struct workers *open_workers(const struct settings *settings, struct bus *bus,
                                    const struct leases *leases, struct service *service,
                                    struct error *err)
{
    const struct workers_options options = {
        .partition_count = (uint32_t)settings->partitions,
        .conninfo = settings->endpoints.postgres,
        .connect_ms = (int)settings->pg_connect_ms,
        .query_ms = (int)settings->pg_query_ms,
        .fetch_messages = (size_t)settings->fetch_messages,
        .fetch_bytes = (size_t)settings->fetch_bytes,
        .request_ms = (int)settings->nats_request_ms,
        .ingest = {.batch_events = (size_t)settings->batch_events,
                   .wait_ms = 500, /* a turn, which also looks at the lease */
                   .linger_ms = (int)settings->batch_wait_ms,
                   .retention_days = settings->retention_days,
                   .slow_ms = settings->pg_slow_ms,
                   .lock_ms = (int)settings->pg_lock_ms,
                   .stream = settings_stream_limits(settings)},
    };

    return workers_open(&options, bus, leases, service, err);
}

/* The leases are renewed here; the beat goes on only while every worker comes round. */
static void run(struct leases *leases, const struct workers *workers, struct service *service,
                int64_t ttl_ms)
{
    size_t beat = service_add_beat(service, "workers");
    struct error err = {0};

    while (service_running(service)) {
        int64_t now_ms = clock_now_ms();

        if (workers_turned_since(workers, now_ms - SERVICE_LIVENESS_MS))
            service_beat(service, beat, now_ms);
        if (leases_step(leases, now_ms, &err)) {
            service_resume(service);
            service_wait(service, ttl_ms / 3);
        } else {
            service_pause(service, &err);
        }
    }
}

int main(int argc, char **argv)
{
    AUTO(free_settings) struct settings settings = {0};
    struct error err = {0};
    int status = EXIT_SUCCESS;
    bool is_migrate = argc == 2 && strcmp(argv[1], "--migrate") == 0;

    if (!config_command_line(is_migrate ? 1 : argc, argv, "ingest", settings_rows, &settings,
                             &status))
        return status;
    if (!config_load(settings_rows, &settings, &err) ||
        !endpoints_resolve(&settings.endpoints, &err) ||
        !process_open("ingest", &settings.process, &err))
        return service_fail(&err);
    for (size_t i = 0; i < settings.endpoints.note_count; i++)
        log_warn("setting_ignored", "why=\"%s\"", settings.endpoints.notes[i]);
    if (is_migrate)
        return startup_migrate(&settings, &err) ? EXIT_SUCCESS : service_fail(&err);

    AUTO(service_close) struct service *service = service_open("ingest", &err);
    if (service == NULL || !ingest_metrics_open((uint32_t)settings.partitions, &err))
        return service_fail(&err);

    AUTO(server_close)
    struct server *ops = ops_open(service, settings.ops_host, (int)settings.ops_port, &err);
    if (ops == NULL)
        return service_fail(&err);

    AUTO(bus_close) struct bus *bus = NULL;
    if (!startup_run(&settings, service, &bus, &err))
        return service_fail(&err);
    if (bus == NULL)
        return EXIT_SUCCESS; /* stopped before it had started */

    AUTO(leases_close) struct leases *leases = open_leases(&settings, bus, &err);
    if (leases == NULL)
        return service_fail(&err);
    AUTO(upkeep_close) struct upkeep *upkeep = open_upkeep(&settings, service, &err);
    if (upkeep == NULL)
        return service_fail(&err);
    AUTO(workers_close)
    struct workers *workers = open_workers(&settings, bus, leases, service, &err);
    if (workers == NULL)
        return service_fail(&err);

    struct health health = {.bus = bus, .workers = workers};
    health_show(&health, service);
    service_ready(service);
    run(leases, workers, service, settings.lease_ttl_ms);
    health_hide(service);
    log_info("service_drained", "name=ingest");
    return EXIT_SUCCESS;
}
