/*
 * adledger-gateway: takes events over HTTP, keeps each on the stream before it says so, and answers
 * what was counted.
 */
#include "admission.h"
#include "base/auto.h"
#include "gateway.h"
#include "http/ops.h"
#include "http/server.h"
#include "listen.h"
#include "metrics.h"
#include "reload.h"
#include "runtime/log.h"
#include "runtime/reloader.h"
#include "runtime/service.h"
#include "settings.h"

/* Each wait has its own deadline; this one is above all of them and below the 25 s of a stop. */
enum { STOP_MAX_MS = 24000 };

static void await_stop(struct service *service)
{
    while (service_running(service))
        service_wait(service, INT32_MAX);
}

int main(int argc, char **argv)
{
    AUTO(settings_free) struct settings settings = {0};
    struct error err = {0};
    int status = EXIT_SUCCESS;

    if (!config_command_line(argc, argv, "gateway", settings_rows, &settings, &status))
        return status;
    if (!config_load(settings_rows, &settings, &err) || !settings_resolve(&settings, &err) ||
        !endpoints_open(&settings.endpoints, &err) ||
        !process_open("gateway", &settings.process, &err))
        return service_fail(&err);
    endpoints_tell_notes(&settings.endpoints);

    AUTO(service_close) struct service *service = service_open("gateway", &err);
    if (service == NULL || !service_limit_drain(service, STOP_MAX_MS, &err))
        return service_fail(&err);
    if (!gateway_metrics_open((uint32_t)settings.partitions))
        return EXIT_FAILURE;
    ops_init(service);

    AUTO(admission_close) struct admission admission = {0};
    if (!admission_open(&admission, &settings, &err))
        return service_fail(&err);

    AUTO(gateway_close) struct gateway gateway = {0};
    if (!gateway_open(&gateway, &settings, service, &admission, &err))
        return service_fail(&err);

    AUTO(reloader_close) struct reloader *reloader = reload_open(&gateway, &err);
    if (reloader == NULL)
        return service_fail(&err);

    AUTO(server_close) struct server *server = listen_open(&gateway, &err);
    if (server == NULL)
        return service_fail(&err);
    log_info("gateway_listening", "host=%s port=%lld threads=%lld", settings.http_host,
             (long long)settings.http_port, (long long)settings.worker_count);

    await_stop(service); /* the control thread says when it is ready */
    server_drain(server);
    log_info("service_drained", "name=gateway");
    return EXIT_SUCCESS;
}
