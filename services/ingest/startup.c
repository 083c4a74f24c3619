#include "startup.h"

#include "base/auto.h"
#include "clients/bus.h"
#include "clients/pg.h"
#include "ingest_metrics.h"
#include "migrate.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "session.h"
#include "settings.h"
#include "store.h"
#include "upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIGRATION_MS = 10 * 60 * 1000, MIGRATION_LOCK_MS = 5000, NUMBER_TEXT_SIZE = 24 };

struct startup {
    const struct settings *settings;
    struct pg *pg;
    struct bus *bus;
};

typedef bool (*step_fn)(struct startup *self, struct error *err);

/* A migration that waits or works for minutes ends with the process; the server rolls it back. */
static bool on_wait(void *ctx)
{
    return ctx == NULL || service_running(ctx);
}

/* service NULL: only deadlines end a wait. */
static struct pg *new_pg(const struct settings *settings, struct service *service,
                         struct error *err)
{
    struct pg *pg = pg_new(&(struct pg_options){.endpoint = settings->endpoints.live.postgres,
                                                .application = "adledger ingest start",
                                                .connect_ms = (int)settings->pg_connect_ms,
                                                .query_ms = (int)settings->pg_query_ms,
                                                .on_wait = on_wait,
                                                .ctx = service});

    if (pg == NULL)
        error_set(err, ERROR_LIMIT, "startup: no memory");
    return pg;
}

/*
 * A migration may take long. Waiting for the process that is at it, or for a reader of a table that
 * is to change, is done here and not in the server: SIGTERM ends it.
 */
static bool migrate(struct startup *self, struct error *err)
{
    struct session session = {.lock_ms = MIGRATION_LOCK_MS, .idle_ms = MIGRATION_MS};
    size_t applied = 0;

    if (!session_ensure(&session, self->pg, err))
        return false;
    pg_set_query_ms(self->pg, MIGRATION_MS);
    if (!migrate_apply(self->pg, &applied, err))
        return false;
    pg_set_query_ms(self->pg, (int)self->settings->pg_query_ms);
    ingest_count(METRIC_migrations_applied_total, (int64_t)applied);
    log_info("migrated", "applied=%zu of=%zu", applied, migration_count);
    return true;
}

bool startup_migrate(const struct settings *settings, struct error *err)
{
    AUTO(pg_close) struct pg *pg = new_pg(settings, NULL, err);

    return pg != NULL && migrate(&(struct startup){.settings = settings, .pg = pg}, err);
}

/* An ad's partition is a hash modulo PARTITIONS: with another number its rows would be counted by
 * two readers. The first start decides. */
static bool agree_on_partitions(struct startup *self, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char ours[NUMBER_TEXT_SIZE];
    struct pg_param param = {.value = ours};

    snprintf(ours, sizeof(ours), "%" PRId64, self->settings->partitions);
    if (!pg_query(self->pg, NULL,
                  "INSERT INTO deployment (name, value) VALUES ('partitions', $1)"
                  " ON CONFLICT DO NOTHING",
                  &param, 1, NULL, err) ||
        !pg_query(self->pg, NULL, "SELECT value FROM deployment WHERE name = 'partitions'", NULL, 0,
                  &result, err))
        return error_wrap(err, "deployment");
    if (PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), ours) == 0)
        return true;
    return error_set(err, ERROR_INVALID,
                     "PARTITIONS is %s, but this database was set up with %s: set it to that", ours,
                     PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "none");
}

static bool make_days(struct startup *self, struct error *err)
{
    const struct upkeep_options options = settings_upkeep_options(self->settings);

    return upkeep_make(self->pg, &options, err);
}

static bool connect_to_nats(struct startup *self, struct error *err)
{
    self->bus = bus_open(&(struct bus_options){.endpoint = self->settings->endpoints.live.nats,
                                               .name = "adledger ingest",
                                               .connect_ms = (int)self->settings->nats_connect_ms,
                                               .request_ms = (int)self->settings->nats_request_ms,
                                               .is_discoverable = true},
                         err);
    return self->bus != NULL;
}

static bool ensure_stream(struct startup *self, uint32_t partition, struct error *err)
{
    AUTO(store_free) struct store *store = store_new(self->pg, partition);
    struct stream_limits limits = settings_stream_limits(self->settings);
    uint64_t position = 0;
    bool is_found = false;

    if (store == NULL)
        return error_set(err, ERROR_LIMIT, "startup: no memory");
    return store_read_position(store, &position, &is_found, err) &&
           stream_ensure(self->bus, partition, &limits, position, clock_at_ms(), err);
}

static bool ensure_streams(struct startup *self, struct error *err)
{
    for (uint32_t i = 0; i < (uint32_t)self->settings->partitions; i++)
        if (!ensure_stream(self, i, err))
            return false;
    return true;
}

static bool is_final(const struct error *err)
{
    return err->kind == ERROR_INVALID || err->kind == ERROR_INTERNAL;
}

bool startup_run(const struct settings *settings, struct service *service, struct bus **out_bus,
                 struct error *err)
{
    static const step_fn steps[] = {migrate, agree_on_partitions, make_days, connect_to_nats,
                                    ensure_streams};
    AUTO(pg_close) struct pg *pg = new_pg(settings, service, err);
    struct startup self = {.settings = settings, .pg = pg};
    size_t next = 0;

    if (pg == NULL)
        return false;
    while (next < sizeof(steps) / sizeof(steps[0]) && service_running(service)) {
        if (steps[next](&self, err)) {
            service_resume(service);
            next++;
        } else if (is_final(err)) {
            bus_close(&self.bus);
            return false;
        } else {
            service_pause(service, err);
        }
    }
    *out_bus = self.bus;
    return true;
}
