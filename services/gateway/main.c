/*
 * adledger-gateway: takes events over HTTP, keeps each on the stream before it says so, and answers
 * what was counted.
 */
#include "access.h"
#include "admission.h"
#include "base/auto.h"
#include "gateway.h"
#include "http/ops.h"
#include "metrics.h"
#include "runtime/log.h"
#include "runtime/reloader.h"
#include "runtime/service.h"
#include "settings.h"

enum {
    BODY_MAX = 1 << 20, /* of the largest route; each route has its own limit below it */
    /* Each wait has its own deadline; this one is above all of them, and below the 25 s of a stop.
     */
    STOP_MAX_MS = 24000,
};

static struct server *open_server(struct gateway *gateway, struct error *err)
{
    const struct settings *settings = gateway->settings;
    const struct server_options options = {
        .host = settings->http_host,
        .port = (int)settings->http_port,
        .threads = (int)settings->worker_count,
        .connections_max = (int)settings->connections_max,
        .body_max_bytes = BODY_MAX,
        .request_timeout_ms = (int)settings->request_timeout_ms,
        .idle_timeout_ms = (int)settings->idle_timeout_ms,
        .drain_ms = (int)settings->drain_ms,
        .service = gateway->service,
        .routes = gateway_routes,
        .cors_origins = settings->cors_origins,
        .ctx = gateway,
        .on_admit = admission_check,
        .on_thread_start = gateway_on_thread_start,
        .on_turn = gateway_on_turn,
        .on_idle = gateway_on_idle,
        .on_thread_stop = gateway_on_thread_stop,
    };

    return server_open(&options, err);
}

/* On SIGHUP. The fresh settings count for who may and how often, and for where the servers are. All
 * that can fail comes before the first change: false means that nothing has changed. */
static bool on_reload(void *ctx, void *fresh, struct error *err)
{
    struct gateway *gateway = ctx;
    struct settings *settings = fresh;
    AUTO(access_free) struct access *access = NULL;

    if (!settings_resolve(settings, err))
        return false;
    access = access_new(settings, err);
    if (access == NULL ||
        !endpoints_take_up(&gateway->settings->endpoints, &settings->endpoints, err))
        return false;
    admission_take_up(gateway->admission, &access);
    return true;
}

static struct reloader *open_reloader(struct gateway *gateway, struct error *err)
{
    const struct reload_options options = {
        .service = gateway->service,
        .rows = settings_rows,
        .settings = gateway->settings,
        .settings_size = sizeof(struct settings),
        .process_offset = offsetof(struct settings, process),
        .apply = on_reload,
        .ctx = gateway,
    };

    return reloader_open(&options, err);
}

static void await_stop(struct service *service)
{
    while (service_running(service))
        service_wait(service, INT32_MAX);
}

static void warn_of_notes(const struct endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->note_count; i++)
        log_warn("setting_ignored", "why=\"%s\"", endpoints->notes[i]);
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
    warn_of_notes(&settings.endpoints);

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

    AUTO(reloader_close) struct reloader *reloader = open_reloader(&gateway, &err);
    if (reloader == NULL)
        return service_fail(&err);

    AUTO(server_close) struct server *server = open_server(&gateway, &err);
    if (server == NULL)
        return service_fail(&err);
    log_info("gateway_listening", "host=%s port=%lld threads=%lld", settings.http_host,
             (long long)settings.http_port, (long long)settings.worker_count);

    await_stop(service); /* the control thread says when it is ready */
    server_drain(server);
    log_info("service_drained", "name=gateway");
    return EXIT_SUCCESS;
}
