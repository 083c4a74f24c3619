#include "workers.h"

#include "base/auto.h"
#include "clients/lease.h"
#include "clients/pg.h"
#include "clients/reader.h"
#include "ingest_metrics.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    IDLE_MS = 100,
    BLOCKED_MAX_MS = 250,
    FINISH_MS = 8000, /* what a transaction gets that the process's end finds under way */
};

struct worker {
    uint32_t partition;
    struct workers *owner;
    struct pg *pg;
    struct reader *reader;
    struct ingest *ingest;
    pthread_t thread;
    bool has_thread;
    _Atomic int state;         /* enum worker_state */
    int64_t stop_seen_ms;      /* by a wait for the database; 0: not yet */
    _Atomic int64_t turned_ms; /* monotonic; when the thread last came round, or was seen waiting */
};

struct workers {
    struct service *service;     /* borrowed */
    const struct leases *leases; /* borrowed */
    uint32_t count;
    struct worker rows[];
};

/* One turn of a partition's thread: a step, or the reason why not. */
static void turn(struct worker *self)
{
    struct service *service = self->owner->service;
    int64_t now_ms = clock_now_ms();
    bool is_held = leases_is_held(self->owner->leases, self->partition, now_ms);
    int64_t wait_ms = 0;
    struct error err = {0};

    atomic_store_explicit(&self->turned_ms, now_ms, memory_order_relaxed);
    ingest_gauge_by(METRIC_reader_lease_held, self->partition, is_held ? 1 : 0);
    if (!is_held) {
        ingest_release(self->ingest);
        self->state = WORKER_IDLE;
        service_wait(service, IDLE_MS);
        return;
    }
    wait_ms = ingest_wait_ms(self->ingest);
    if (wait_ms > 0) {
        self->state = ingest_is_blocked(self->ingest) ? WORKER_BLOCKED : WORKER_FAILING;
        service_wait(service, wait_ms < BLOCKED_MAX_MS ? wait_ms : BLOCKED_MAX_MS);
        return;
    }
    if (ingest_step(self->ingest, &err)) {
        self->state = WORKER_READING;
        service_resume(service);
        return;
    }
    self->state = WORKER_FAILING;
    service_pause(service, &err);
}

static void *on_start(void *ctx)
{
    struct worker *self = ctx;

    while (service_running(self->owner->service))
        turn(self);
    return NULL;
}

/*
 * A wait for the database with a deadline is no thread that hangs: the beat goes on. When the
 * process ends, the transaction under way may finish, but not for ever.
 */
static bool on_wait(void *ctx)
{
    struct worker *self = ctx;
    int64_t now_ms = clock_now_ms();

    atomic_store_explicit(&self->turned_ms, now_ms, memory_order_relaxed);
    if (service_running(self->owner->service))
        return true;
    if (self->stop_seen_ms == 0)
        self->stop_seen_ms = now_ms;
    return now_ms - self->stop_seen_ms < FINISH_MS;
}

static bool start(struct worker *self, const struct workers_options *options, struct bus *bus,
                  struct error *err)
{
    struct ingest_options ingest = options->ingest;

    ingest.partition = self->partition;
    self->pg = pg_new(&(struct pg_options){.endpoint = options->postgres,
                                           .application = "adledger ingest",
                                           .connect_ms = options->connect_ms,
                                           .query_ms = options->query_ms,
                                           .on_wait = on_wait,
                                           .ctx = self});
    if (self->pg == NULL)
        return error_set(err, ERROR_LIMIT, "workers: no memory");
    self->reader = reader_new(bus,
                              &(struct reader_options){.partition = self->partition,
                                                       .messages_max = options->fetch_messages,
                                                       .bytes_max = options->fetch_bytes,
                                                       .request_ms = options->request_ms},
                              err);
    if (self->reader == NULL)
        return false;
    self->ingest = ingest_new(&ingest, bus, self->pg, self->reader);
    if (self->ingest == NULL)
        return error_set(err, ERROR_LIMIT, "workers: no memory");
    self->turned_ms = clock_now_ms();
    if (pthread_create(&self->thread, NULL, on_start, self) != 0)
        return error_set(err, ERROR_LIMIT, "workers: no thread for partition %u", self->partition);
    self->has_thread = true;
    return true;
}

struct workers *workers_open(const struct workers_options *options, struct bus *bus,
                             const struct leases *leases, struct service *service,
                             struct error *err)
{
    AUTO(workers_close)
    struct workers *self =
        calloc(1, sizeof(*self) + options->partition_count * sizeof(self->rows[0]));

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "workers: no memory");
        return NULL;
    }
    self->service = service;
    self->leases = leases;
    self->count = options->partition_count;
    for (uint32_t i = 0; i < self->count; i++) {
        self->rows[i].partition = i;
        self->rows[i].owner = self;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        if (!start(&self->rows[i], options, bus, err)) {
            service_stop(service); /* those that run already must end before they are freed */
            return NULL;
        }
    }
    return TAKE(self);
}

void workers_close(struct workers **workers)
{
    struct workers *self = TAKE(*workers);

    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->count; i++)
        if (self->rows[i].has_thread)
            (void)pthread_join(self->rows[i].thread, NULL);
    for (uint32_t i = 0; i < self->count; i++) {
        ingest_free(&self->rows[i].ingest);
        reader_close(&self->rows[i].reader);
        pg_close(&self->rows[i].pg);
    }
    free(self);
}

uint32_t workers_count(const struct workers *self)
{
    return self->count;
}

enum worker_state workers_state(const struct workers *self, uint32_t partition)
{
    return (enum worker_state)self->rows[partition].state;
}

bool workers_turned_since(const struct workers *self, int64_t now_ms)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (self->rows[i].turned_ms < now_ms)
            return false;
    return true;
}
