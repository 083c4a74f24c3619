#include "dlq.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "dlq_letters.h"
#include "ingest_metrics.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "session.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ROUND_MS = 1000, LOCK_MS = 1000, IDLE_MS = 60 * 1000 };

struct dlq {
    struct bus *bus;         /* borrowed */
    struct service *service; /* borrowed */
    struct pg *pg;
    struct session session;
    struct dlq_round round;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_closing; /* also when the start fails and the service goes on */
};

/* Both for pg, which ends its wait, and for the round, which leaves the rest of its letters. */
static bool is_running(void *ctx)
{
    const struct dlq *self = ctx;

    return !atomic_load(&self->is_closing) && service_running(self->service);
}

static bool run_round(struct dlq *self, struct error *err)
{
    bool is_done = session_ensure(&self->session, self->pg, err) &&
                   dlq_letters_tell(&self->round, self->pg, self->bus, err);

    ingest_gauge(METRIC_dead_letters_unpublished, (double)self->round.unpublished);
    ingest_count(METRIC_dead_letters_published_total, (int64_t)self->round.told);
    ingest_count(METRIC_dead_letters_cut_total, (int64_t)self->round.cut);
    if (self->round.told > 0)
        log_info("dead_letters_told", "letters=%zu left=%zu", self->round.told,
                 self->round.unpublished);
    self->round.told = 0;
    self->round.cut = 0;
    return is_done;
}

static void *on_start(void *ctx)
{
    struct dlq *self = ctx;
    struct error err = {0};

    while (is_running(self)) {
        if (run_round(self, &err)) {
            service_resume(self->service);
            service_wait(self->service, ROUND_MS);
        } else {
            service_pause(self->service, &err);
        }
    }
    return NULL;
}

struct dlq *dlq_open(const struct dlq_options *options, struct bus *bus, struct service *service,
                     struct error *err)
{
    AUTO(dlq_close) struct dlq *self = calloc(1, sizeof(*self));

    if (self != NULL) {
        self->bus = bus;
        self->service = service;
        self->session = (struct session){.lock_ms = LOCK_MS, .idle_ms = IDLE_MS};
        self->round = (struct dlq_round){.max_bytes = options->max_bytes,
                                         .replicas = options->replicas,
                                         .is_running = is_running,
                                         .ctx = self};
        self->pg = pg_new(&(struct pg_options){.endpoint = options->postgres,
                                               .application = "adledger ingest dlq",
                                               .connect_ms = options->connect_ms,
                                               .query_ms = options->query_ms,
                                               .on_wait = is_running,
                                               .ctx = self});
    }
    if (self == NULL || self->pg == NULL ||
        pthread_create(&self->thread, NULL, on_start, self) != 0) {
        error_set(err, ERROR_LIMIT, "dlq: no memory or no thread");
        return NULL;
    }
    self->has_thread = true;
    return TAKE(self);
}

void dlq_close(struct dlq **dlq)
{
    struct dlq *self = TAKE(*dlq);

    if (self == NULL)
        return;
    atomic_store(&self->is_closing, true);
    if (self->has_thread)
        (void)pthread_join(self->thread, NULL);
    pg_close(&self->pg);
    free(self);
}
