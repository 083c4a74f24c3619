#include "health.h"

#include "clients/bus.h"
#include "ingest_metrics.h"
#include "runtime/service.h"
#include "workers.h"

#include <stdio.h>

/* The names outlive every call, as struct service_component wants. */
static char partition_names[INGEST_PARTITIONS_MAX][24];

enum { FIXED_NATS, FIXED_POSTGRES, FIXED_COUNT };

/* What is shown, in this order; filled by health_start, then only read. */
static struct {
    const char *names[FIXED_COUNT + INGEST_PARTITIONS_MAX];
    size_t count;
} known;

static const char *state_of(enum worker_state state)
{
    switch (state) {
    case WORKER_IDLE:
    case WORKER_READING:
        return "up";
    case WORKER_FAILING:
        return "degraded";
    case WORKER_BLOCKED:
        return "down";
    }
    return "unknown";
}

static const char *detail_of(enum worker_state state)
{
    switch (state) {
    case WORKER_IDLE:
        return "another process reads it";
    case WORKER_READING:
        return "";
    case WORKER_FAILING:
        return "the last step failed and is tried again";
    case WORKER_BLOCKED:
        return "the database's breaker is open";
    }
    return "";
}

static struct service_component component(const char *name, const char *state, const char *detail)
{
    struct service_component made = {.name = name, .state = state};

    snprintf(made.detail, sizeof(made.detail), "%s", detail);
    return made;
}

/* The database as the workers see it: whoever reads has just asked it. */
static const char *postgres_state(const struct workers *workers)
{
    for (uint32_t i = 0; i < workers_count(workers); i++)
        if (workers_state(workers, i) == WORKER_BLOCKED)
            return "down";
    return "up";
}

static size_t on_components(void *ctx, struct service_component *out, size_t max)
{
    const struct health *health = ctx;
    bool is_bus_up = bus_is_connected(health->bus);
    size_t count = FIXED_COUNT;

    if (max < FIXED_COUNT)
        return 0;
    out[FIXED_NATS] = component("nats", is_bus_up ? "up" : "down", "");
    out[FIXED_POSTGRES] = component("postgres", postgres_state(health->workers), "");
    for (uint32_t i = 0; i < workers_count(health->workers) && count < max; i++) {
        enum worker_state state = workers_state(health->workers, i);

        out[count++] = is_bus_up || state != WORKER_IDLE
                           ? component(partition_names[i], state_of(state), detail_of(state))
                           : component(partition_names[i], "unknown", "nobody reads without NATS");
    }
    return count;
}

static size_t on_components_starting(void *ctx, struct service_component *out, size_t max)
{
    size_t count = 0;

    (void)ctx;
    for (; count < known.count && count < max; count++)
        out[count] = component(known.names[count], "starting", "");
    return count;
}

void health_start(struct service *service, uint32_t partition_count)
{
    known.names[FIXED_NATS] = "nats";
    known.names[FIXED_POSTGRES] = "postgres";
    known.count = FIXED_COUNT;
    for (uint32_t i = 0; i < partition_count; i++) {
        snprintf(partition_names[i], sizeof(partition_names[i]), "partition_%u", i);
        known.names[known.count++] = partition_names[i];
    }
    service_set_components(service, on_components_starting, NULL);
}

void health_show(struct service *service, struct health *health)
{
    service_set_components(service, on_components, health);
}

void health_hide(struct service *service)
{
    service_set_components(service, NULL, NULL);
}
