#include "worker.h"

#include "analytics.h"
#include "base/auto.h"
#include "clients/bus.h"
#include "clients/guard.h"
#include "clients/lease.h"
#include "clients/reader.h"
#include "clients/redis.h"
#include "event/buckets.h"
#include "keeper.h"
#include "meters.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>

enum {
    CONNECT_MS = 1000,
    REDIS_MS = 3000, /* deadline of a call; a frozen Redis is left after it */
    PG_MS = 5000,
    REQUEST_MS = 2000,
    IDLE_WAIT_MS = 250, /* of a fetch: how soon a stop is seen */
    LEASE_LOOK_MS = 200,
    KEEP_EVERY_MS = 500, /* a dirty mark is seen within */
};

struct worker {
    struct worker_options options;
    struct guard guard;             /* of redis */
    char redis_key[BUCKET_KEY_MAX]; /* leads to the partition's node */
    struct redis *redis;
    struct reader *reader;
    struct analytics *analytics;
    struct keeper *keeper;
    size_t beat;
    pthread_t counter_thread, keeper_thread;
    bool has_counter_thread, has_keeper_thread;
    atomic_int state;
};

static bool holds_lease(const struct worker *self)
{
    return leases_is_held(self->options.leases, self->options.partition, clock_now_ms());
}

/* ---- the counting thread ---- */

static void count(struct worker *self)
{
    struct error err;

    if (analytics_step(self->analytics, &err)) {
        atomic_store(&self->state, WORKER_COUNTING);
        service_resume(self->options.service);
        return;
    }
    atomic_store(&self->state,
                 analytics_is_waiting(self->analytics) ? WORKER_WAITING : WORKER_FAILING);
    service_pause(self->options.service, &err);
}

static void *on_counter_thread(void *ctx)
{
    struct worker *self = ctx;
    struct service *service = self->options.service;

    while (service_running(service)) {
        service_beat(service, self->beat, clock_now_ms());

        bool is_held = holds_lease(self);

        metrics_set_by(self->options.metrics, METRIC_reader_lease_held, self->options.partition,
                       is_held);
        if (is_held) {
            count(self);
        } else {
            if (atomic_exchange(&self->state, WORKER_IDLE) != WORKER_IDLE)
                log_info("partition_released", "partition=%u", self->options.partition);
            analytics_release(self->analytics);
            service_wait(service, LEASE_LOOK_MS);
        }
    }
    service_end_beat(service, self->beat);
    return NULL;
}

/* ---- the keeper's thread: no beat, a query of a rebuild may take minutes ---- */

static bool on_wait(void *ctx)
{
    const struct worker *self = ctx;

    return service_running(self->options.service);
}

static bool on_progress(void *ctx)
{
    const struct worker *self = ctx;

    return service_running(self->options.service) && holds_lease(self);
}

static void *on_keeper_thread(void *ctx)
{
    struct worker *self = ctx;
    struct service *service = self->options.service;
    struct error err;

    while (service_running(service)) {
        if (holds_lease(self) && !keeper_step(self->keeper, &err)) {
            service_pause(service, &err);
            continue;
        }
        service_resume(service);
        service_wait(service, KEEP_EVERY_MS);
    }
    return NULL;
}

/* ---- life ---- */

static bool open_counter(struct worker *self, struct error *err)
{
    const struct settings *settings = self->options.settings;
    const struct redis_options redis = {.endpoint = settings->endpoints.live.redis,
                                        .key = self->redis_key,
                                        .connect_ms = CONNECT_MS,
                                        .command_ms = REDIS_MS,
                                        .guard = &self->guard};
    struct guard_options guard = {.dependency = GUARD_REDIS,
                                  .what = "count",
                                  .place = self->options.partition,
                                  .breaker = breaker_default_options()};
    const struct reader_options reader = {.partition = self->options.partition,
                                          .messages_max = (size_t)settings->fetch_messages,
                                          .bytes_max = (size_t)settings->fetch_bytes,
                                          .request_ms = REQUEST_MS};
    struct analytics_options analytics = {.partition = self->options.partition,
                                          .metrics = self->options.metrics,
                                          .fold_entries_max = (size_t)settings->fold_entries_max,
                                          .recent_ids_max = (size_t)settings->recent_ids_max,
                                          .fold_wait_ms = (int)settings->fold_wait_ms,
                                          .idle_wait_ms = IDLE_WAIT_MS};

    if (getrandom(&analytics.seed, sizeof(analytics.seed), 0) != (ssize_t)sizeof(analytics.seed))
        return error_set(err, ERROR_INTERNAL, "worker: no random bytes for a seed");
    guard_init(&self->guard, &guard, analytics.seed, clock_now_ms());
    bucket_key_position(self->redis_key, self->options.partition);
    self->redis = redis_new(&redis, err);
    if (self->redis == NULL)
        return false;
    self->reader = reader_new(self->options.bus, &reader, err);
    if (self->reader == NULL)
        return false;
    analytics.redis = self->redis;
    analytics.reader = self->reader;
    self->analytics = analytics_new(&analytics, err);
    return self->analytics != NULL;
}

static bool open_keeper(struct worker *self, struct error *err)
{
    const struct settings *settings = self->options.settings;
    const struct keeper_options options = {
        .partition = self->options.partition,
        .partition_count = (uint32_t)settings->partitions,
        .bus = self->options.bus,
        .metrics = self->options.metrics,
        .redis = settings->endpoints.live.redis,
        .postgres = settings->endpoints.live.postgres,
        .connect_ms = CONNECT_MS,
        .redis_ms = REDIS_MS,
        .pg_ms = PG_MS,
        .trim_interval_ms = (int)settings->trim_interval_ms,
        .dedup_window_ms = settings->stream_dedup_ms,
        .on_progress = on_progress,
        .on_wait = on_wait,
        .ctx = self,
    };

    self->keeper = keeper_open(&options, err);
    return self->keeper != NULL;
}

static bool start_threads(struct worker *self, struct error *err)
{
    self->beat = service_add_beat(self->options.service, "counting");
    self->has_counter_thread =
        pthread_create(&self->counter_thread, NULL, on_counter_thread, self) == 0;
    self->has_keeper_thread =
        pthread_create(&self->keeper_thread, NULL, on_keeper_thread, self) == 0;
    if (self->has_counter_thread && self->has_keeper_thread)
        return true;
    service_stop(self->options.service); /* the one that runs must end before it can be joined */
    return error_set(err, ERROR_LIMIT, "worker: no thread for partition %u",
                     self->options.partition);
}

struct worker *worker_start(const struct worker_options *options, struct error *err)
{
    AUTO(worker_stop) struct worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        error_set(err, ERROR_LIMIT, "worker: no memory");
        return NULL;
    }
    worker->options = *options;
    if (!open_counter(worker, err) || !open_keeper(worker, err) || !start_threads(worker, err))
        return NULL;
    return TAKE(worker);
}

void worker_stop(struct worker **worker)
{
    struct worker *self = *worker;

    if (self == NULL)
        return;
    if (self->has_counter_thread)
        pthread_join(self->counter_thread, NULL);
    if (self->has_keeper_thread)
        pthread_join(self->keeper_thread, NULL);
    keeper_close(&self->keeper);
    analytics_free(&self->analytics);
    reader_close(&self->reader);
    redis_close(&self->redis);
    guard_end(&self->guard);
    free(self);
    *worker = NULL;
}

struct worker_health worker_health(const struct worker *worker)
{
    struct keeper_health keeper = keeper_health(worker->keeper);

    return (struct worker_health){
        .state = (enum worker_state)atomic_load(&worker->state),
        .is_keeping = keeper.is_known,
        .is_pg_up = keeper.is_pg_up,
        .is_redis_up = keeper.is_redis_up,
        .is_stream_behind = keeper.verdict == PLACE_STREAM_BEHIND,
    };
}
