/*
 * adledger-analytics: reads the stream and keeps Redis's counters, each event counted once.
 */
#include "base/auto.h"
#include "clients/discovery.h"
#include "crew.h"
#include "http/ops.h"
#include "http/server.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "settings.h"

/* Each wait has its own deadline; this one is above all of them and below the 25 s of a stop. */
enum { DRAIN_MAX_MS = 20000 };

/* The dependencies may come in any order, and late. */
static void open_when_possible(struct crew *crew, struct service *service)
{
    struct error err;

    while (service_running(service) && !crew_open(crew, &err))
        service_pause(service, &err);
    service_resume(service);
}

int main(int argc, char **argv)
{
    AUTO(settings_free) struct settings settings = {0};
    struct error err = {0};
    int status = EXIT_SUCCESS;

    if (!config_command_line(argc, argv, "analytics", settings_rows, &settings, &status))
        return status;
    if (!config_load(settings_rows, &settings, &err) ||
        !endpoints_resolve(&settings.endpoints, &err) ||
        !endpoints_open(&settings.endpoints, &err) ||
        !process_open("analytics", &settings.process, &err))
        return service_fail(&err);
    endpoints_tell_notes(&settings.endpoints);

    AUTO(service_close) struct service *service = service_open("analytics", &err);
    if (service == NULL || !service_limit_drain(service, DRAIN_MAX_MS, &err))
        return service_fail(&err);
    ops_init(service);
    discovery_init(service, &(struct discovery_options){
                                .description = "keeps Redis's counters, each event counted once",
                                .http_port = settings.ops_port,
                                .partitions = settings.partitions});

    struct endpoints_reload reload = settings_reload(&settings);
    const struct reload_options reload_options = endpoints_reload_options(&reload, service);
    AUTO(reloader_close) struct reloader *reloader = reloader_open(&reload_options, &err);
    if (reloader == NULL)
        return service_fail(&err);

    AUTO(metrics_free) struct metrics *metrics = meters_new((uint32_t)settings.partitions);
    if (metrics == NULL)
        return EXIT_FAILURE;

    AUTO(crew_close) struct crew crew = {0};
    crew_init(&crew, &settings, service, metrics);

    AUTO(server_close)
    struct server *server = ops_open(service, settings.ops_host, (int)settings.ops_port, &err);
    if (server == NULL)
        return service_fail(&err);

    open_when_possible(&crew, service);
    while (service_running(service)) {
        if (!crew_step(&crew, &err)) {
            service_pause(service, &err);
            continue;
        }
        service_resume(service);
        service_wait(service, settings.lease_ttl_ms / 3);
    }
    server_drain(server);
    log_info("service_drained", "name=analytics");
    return EXIT_SUCCESS;
}
