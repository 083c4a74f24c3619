#include "upkeep.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "day.h"
#include "expiry.h"
#include "ingest_metrics.h"
#include "partitions.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "salts.h"
#include "session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ROUND_MS = 3600 * 1000,
    LOCK_MS = 200,                 /* rather later than in anybody's way */
    STATEMENT_MS = 10 * 60 * 1000, /* counting the visitors of a day reads all of it */
    JOIN_S = 5,
};

static const struct session limits = {.lock_ms = LOCK_MS, .idle_ms = STATEMENT_MS};

struct upkeep {
    struct upkeep_options options;
    struct service *service; /* borrowed */
    struct pg *pg;
    struct session session;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_closing; /* the service may be gone: only what is ours is looked at */
};

/* Tables from yesterday on, and salts, on a connection that has the limits. */
static bool make(struct pg *pg, const struct upkeep_options *options, struct error *err)
{
    int64_t today = day_of_ms(clock_at_ms());
    int64_t last = today + options->ahead_days;

    for (int64_t day = today - 1; day <= last; day++)
        if (!partitions_make(pg, day, err))
            return false;
    ingest_gauge(METRIC_partitions_ready_until_seconds, (double)(last + 1) * DAY_MS / 1e3);
    return salts_keep(pg, today, options->ahead_days, err);
}

bool upkeep_make(struct pg *pg, const struct upkeep_options *options, struct error *err)
{
    struct session session = limits;

    return session_ensure(&session, pg, err) && make(pg, options, err);
}

/* Ranges go with the batches that they are about. */
static bool expire(struct upkeep *self, int64_t today, struct error *err)
{
    size_t ranges = 0;
    size_t letters = 0;

    if (!expiry_drop_ranges(self->pg, today - self->options.retention_days, &ranges, err) ||
        !expiry_drop_letters(self->pg, today - self->options.dead_letter_days, &letters, err))
        return false;
    ingest_count(METRIC_batch_ranges_dropped_total, (int64_t)ranges);
    ingest_count(METRIC_dead_letters_dropped_total, (int64_t)letters);
    if (ranges + letters > 0)
        log_info("rows_dropped", "batch_ranges=%zu dead_letters=%zu", ranges, letters);
    return true;
}

/* The connection may be lost between the parts: the limits are looked at before each. */
static bool run_round(struct upkeep *self, struct error *err)
{
    int64_t today = day_of_ms(clock_at_ms());
    size_t dropped = 0;

    if (!session_ensure(&self->session, self->pg, err) || !make(self->pg, &self->options, err) ||
        !session_ensure(&self->session, self->pg, err) ||
        !partitions_drop(self->pg, today - self->options.retention_days, &dropped, err))
        return false;
    ingest_count(METRIC_partitions_dropped_total, (int64_t)dropped);
    if (dropped > 0)
        log_info("days_dropped", "tables=%zu", dropped);
    return session_ensure(&self->session, self->pg, err) && expire(self, today, err);
}

/* Nobody waits for a day to be counted when the process ends: the server rolls it back. */
static bool on_wait(void *ctx)
{
    const struct upkeep *self = ctx;

    return !atomic_load(&self->is_closing) && service_running(self->service);
}

static void *on_start(void *ctx)
{
    struct upkeep *self = ctx;
    struct error err = {0};

    while (!atomic_load(&self->is_closing) && service_running(self->service)) {
        bool is_done = run_round(self, &err);

        if (atomic_load(&self->is_closing))
            break;
        if (is_done) {
            service_resume(self->service);
            service_wait(self->service, ROUND_MS);
        } else {
            ingest_count(METRIC_partitions_failures_total, 1);
            service_pause(self->service, &err);
        }
    }
    return NULL;
}

struct upkeep *upkeep_open(const struct upkeep_options *options, struct service *service,
                           struct error *err)
{
    AUTO(upkeep_close) struct upkeep *self = calloc(1, sizeof(*self));

    if (self != NULL) {
        self->options = *options;
        self->service = service;
        self->session = limits;
        self->pg = pg_new(&(struct pg_options){.endpoint = options->postgres,
                                               .application = "adledger ingest upkeep",
                                               .connect_ms = options->connect_ms,
                                               .query_ms = STATEMENT_MS,
                                               .on_wait = on_wait,
                                               .ctx = self});
    }
    if (self == NULL || self->pg == NULL ||
        pthread_create(&self->thread, NULL, on_start, self) != 0) {
        error_set(err, ERROR_LIMIT, "upkeep: no memory or no thread");
        return NULL;
    }
    self->has_thread = true;
    return TAKE(self);
}

void upkeep_close(struct upkeep **upkeep)
{
    struct upkeep *self = TAKE(*upkeep);
    struct timespec until = {0};

    if (self == NULL)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += JOIN_S;
    atomic_store(&self->is_closing, true);
    /* Only looking up the server's name can take longer. The thread still uses the memory then, so
     * that stays. */
    if (self->has_thread &&
        pthread_clockjoin_np(self->thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
        log_warn("upkeep_abandoned", "after_s=%d", JOIN_S);
        return;
    }
    pg_close(&self->pg);
    free(self);
}
