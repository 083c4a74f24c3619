#include "serve.h"

#include "base/auto.h"
#include "clients/lease.h"
#include "dlq.h"
#include "health.h"
#include "runtime/clock.h"
#include "runtime/service.h"
#include "settings.h"
#include "upkeep.h"
#include "workers.h"

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

bool serve_until_stop(const struct settings *settings, struct service *service, struct bus *bus,
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
