/*
 * adledger-ingest: reads the streams and keeps every event in PostgreSQL, exactly once.
 */
#include "base/auto.h"
#include "clients/discovery.h"
#include "health.h"
#include "http/ops.h"
#include "http/server.h"
#include "ingest_metrics.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "serve.h"
#include "settings.h"
#include "startup.h"

#include <stdio.h>
#include <string.h>

/* Each wait has its own deadline; this one is above all of them and below the 25 s of a stop. */
enum { DRAIN_MAX_MS = 20000 };

static bool load(struct settings *settings, struct error *err)
{
    if (!config_load(settings_rows, settings, err) ||
        !endpoints_resolve(&settings->endpoints, err) ||
        !endpoints_open(&settings->endpoints, err) ||
        !process_open("ingest", &settings->process, err))
        return false;
    endpoints_tell_notes(&settings->endpoints);
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

int main(int argc, char **argv)
{
    AUTO(settings_free) struct settings settings = {0};
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

    struct endpoints_reload reload = settings_reload(&settings);
    const struct reload_options reload_options = endpoints_reload_options(&reload, service);
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
    if (!serve_until_stop(&settings, service, bus, &err))
        return service_fail(&err);
    log_info("service_drained", "name=ingest");
    return EXIT_SUCCESS;
}
