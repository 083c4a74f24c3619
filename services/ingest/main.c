/*
 * adledger-ingest: reads the streams and keeps every event in PostgreSQL, exactly once.
 */
#include "base/auto.h"
#include "clients/discovery.h"
#include "clients/lease.h"
#include "dlq.h"
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

#include <stdio.h>
#include <string.h>

/* Each wait has its own deadline; this one is above all of them and below the 25 s of a stop. */
enum { DRAIN_MAX_MS = 20000 };

static void free_settings(struct settings *settings)
{
    endpoints_close(&settings->endpoints);
    config_free(settings_rows, settings);
}

static bool load(struct settings *settings, struct error *err)
{
    if (!config_load(settings_rows, settings, err) ||
        !endpoints_resolve(&settings->endpoints, err) ||
        !endpoints_open(&settings->endpoints, err) ||
        !process_open("ingest", &settings->process, err))
        return false;
    for (size_t i = 0; i < settings->endpoints.note_count; i++)
        log_warn("setting_ignored", "why=\"%s\"", settings->endpoints.notes[i]);
    return true;
}

/* The one option that is ingest's own; config_command_line does the others. */
static bool take_migrate(int *argc, char **argv)
{
    bool is_migrate = *argc == 2 && strcmp(argv[1], "--migrate") == 0;

    if (is_migrate)
        *argc = 1;
    else if (*argc == 2 && strcmp(argv[1], "--help") == 0)
        (void)puts("Usage: ingest --migrate   (brings the database's tables up to date, and ends)");
    return is_migrate;
}

/* The leases are renewed here; the beat goes on only while every worker comes round. */
static void run(struct service *service, struct leases *leases, struct health *health,
                int64_t ttl_ms)
{
    size_t beat = service_add_beat(service, "workers");
    struct error err = {0};

    health_show(service, health);
    service_ready(service);
    while (service_running(service)) {
        int64_t now_ms = clock_now_ms();

        if (workers_turned_since(health->workers, now_ms - SERVICE_LIVENESS_MS))
            service_beat(service, beat, now_ms);
        if (leases_step(leases, now_ms, &err)) {
            service_resume(service);
            service_wait(service, ttl_ms / 3);
        } else {
            service_pause(service, &err);
        }
    }
    health_hide(service);
}

/* Everything that reads, until the service is to stop. */
static bool serve(const struct settings *settings, struct service *service, struct bus *bus,
                  struct error *err)
{
    const struct lease_options lease_options = settings_lease_options(settings);
    AUTO(leases_close) struct leases *leases = leases_new(bus, &lease_options, err);
    if (leases == NULL)
        return false;

    const struct upkeep_options upkeep_options = settings_upkeep_options(settings);
    AUTO(upkeep_close) struct upkeep *upkeep = upkeep_open(&upkeep_options, service, err);
    if (upkeep == NULL)
        return false;

    const struct dlq_options dlq_options = settings_dlq_options(settings);
    AUTO(dlq_close) struct dlq *dlq = dlq_open(&dlq_options, bus, service, err);
    if (dlq == NULL)
        return false;

    const struct workers_options workers_options = settings_workers_options(settings);
    AUTO(workers_close)
    struct workers *workers = workers_open(&workers_options, bus, leases, service, err);
    if (workers == NULL)
        return false;

    struct health health = {.bus = bus, .workers = workers};
    run(service, leases, &health, settings->lease_ttl_ms);
    return true;
}

int main(int argc, char **argv)
{
    AUTO(free_settings) struct settings settings = {0};
    struct error err = {0};
    int status = EXIT_SUCCESS;
    bool is_migrate = take_migrate(&argc, argv);

    if (!config_command_line(argc, argv, "ingest", settings_rows, &settings, &status))
        return status;
    if (!load(&settings, &err))
        return service_fail(&err);
    if (is_migrate)
        return startup_migrate(&settings, &err) ? EXIT_SUCCESS : service_fail(&err);

    AUTO(service_close) struct service *service = service_open("ingest", &err);
    if (service == NULL || !service_limit_drain(service, DRAIN_MAX_MS, &err) ||
        !ingest_metrics_open((uint32_t)settings.partitions, &err))
        return service_fail(&err);
    health_start(service, (uint32_t)settings.partitions);
    discovery_init(service, &(struct discovery_options){
                                .description = "keeps every event in PostgreSQL, exactly once",
                                .http_port = settings.ops_port,
                                .partitions = settings.partitions});

    const struct reload_options reload_options = settings_reload_options(&settings, service);
    AUTO(reloader_close) struct reloader *reloader = reloader_open(&reload_options, &err);
    if (reloader == NULL)
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
    if (!serve(&settings, service, bus, &err))
        return service_fail(&err);
    log_info("service_drained", "name=ingest");
    return EXIT_SUCCESS;
}
