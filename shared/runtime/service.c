#include "runtime/service.h"

#include "base/auto.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/service_drain.h"
#include "runtime/service_signals.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum state { STATE_STARTING, STATE_READY, STATE_DRAINING };

static const int64_t beat_ended = INT64_MAX;

struct beat {
    const char *what; /* borrowed */
    _Atomic int64_t last_ms;
};

struct service {
    const char *name; /* borrowed */
    int64_t started_at_ms;
    _Atomic int state;
    int stop_fd;             /* readable from the start of the drain on */
    struct signals *signals; /* owned */
    struct drain *drain;     /* owned; NULL: the drain has no limit */
    struct beat beats[SERVICE_BEATS_MAX];
    _Atomic size_t beat_count;
    service_components_fn components; /* guarded by the_lock, with its ctx; so is the next pair */
    void *components_ctx;
    void (*hangup)(void *ctx);
    void *hangup_ctx;
};

/* One service a process, so one lock: for the two callbacks, and the making of beats. */
static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

static void hang_up(struct service *service)
{
    (void)pthread_mutex_lock(&the_lock);
    if (service->hangup != NULL)
        service->hangup(service->hangup_ctx);
    (void)pthread_mutex_unlock(&the_lock);
}

static void on_signal(void *ctx, int number)
{
    struct service *service = ctx;

    log_info("service_signal", "signal=%s", sigabbrev_np(number));
    if (number == SIGHUP)
        hang_up(service);
    else
        service_stop(service);
}

struct service *service_open(const char *name, struct error *err)
{
    AUTO(service_close) struct service *service = calloc(1, sizeof(*service));

    if (service == NULL) {
        error_set(err, ERROR_LIMIT, "service: no memory");
        return NULL;
    }
    service->name = name;
    service->started_at_ms = clock_at_ms();
    service->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (service->stop_fd < 0) {
        error_set(err, ERROR_INTERNAL, "service: eventfd: %s", strerrordesc_np(errno));
        return NULL;
    }
    service->signals = signals_open(on_signal, service, err);
    if (service->signals == NULL)
        return NULL;
    return TAKE(service);
}

void service_close(struct service **service)
{
    struct service *owned = TAKE(*service);

    if (owned == NULL)
        return;
    drain_close(&owned->drain); /* the two first: their threads use the rest */
    signals_close(&owned->signals);
    if (owned->stop_fd >= 0)
        (void)close(owned->stop_fd);
    free(owned);
}

const char *service_name(const struct service *service)
{
    return service->name;
}

int64_t service_started_at_ms(const struct service *service)
{
    return service->started_at_ms;
}

void service_ready(struct service *service)
{
    int expected = STATE_STARTING; /* a drain that came first wins */

    if (!atomic_compare_exchange_strong(&service->state, &expected, STATE_READY))
        return;
    metrics_set_ready(true);
    log_info("service_ready", "after_ms=%lld", (long long)(clock_at_ms() - service->started_at_ms));
}

bool service_is_ready(const struct service *service)
{
    return atomic_load(&service->state) == STATE_READY;
}

bool service_running(const struct service *service)
{
    return atomic_load(&service->state) != STATE_DRAINING;
}

void service_stop(struct service *service)
{
    if (atomic_exchange(&service->state, STATE_DRAINING) == STATE_DRAINING)
        return;
    metrics_set_ready(false);
    log_info("service_draining", "name=%s", service->name);
    (void)eventfd_write(service->stop_fd, 1); /* fails only when it is readable already */
}

bool service_limit_drain(struct service *service, int64_t max_ms, struct error *err)
{
    service->drain = drain_open(service->stop_fd, max_ms, err);
    return service->drain != NULL;
}

size_t service_add_beat(struct service *service, const char *what)
{
    size_t beat = 0;

    (void)pthread_mutex_lock(&the_lock);
    beat = atomic_load(&service->beat_count);
    assert(beat < SERVICE_BEATS_MAX);
    service->beats[beat].what = what;
    atomic_store(&service->beats[beat].last_ms, clock_now_ms());
    atomic_store(&service->beat_count, beat + 1); /* last: readers take no lock */
    (void)pthread_mutex_unlock(&the_lock);
    return beat;
}

void service_beat(struct service *service, size_t beat, int64_t now_ms)
{
    atomic_store_explicit(&service->beats[beat].last_ms, now_ms, memory_order_relaxed);
}

void service_end_beat(struct service *service, size_t beat)
{
    atomic_store_explicit(&service->beats[beat].last_ms, beat_ended, memory_order_relaxed);
}

bool service_is_live(const struct service *service, int64_t now_ms, const char **out_stuck)
{
    size_t count = atomic_load(&service->beat_count);

    for (size_t i = 0; i < count; i++) {
        int64_t last_ms = atomic_load_explicit(&service->beats[i].last_ms, memory_order_relaxed);

        if (last_ms < now_ms && now_ms - last_ms > SERVICE_LIVENESS_MS) {
            *out_stuck = service->beats[i].what;
            return false;
        }
    }
    return true;
}

void service_set_components(struct service *service, service_components_fn fn, void *ctx)
{
    (void)pthread_mutex_lock(&the_lock);
    service->components = fn;
    service->components_ctx = ctx;
    (void)pthread_mutex_unlock(&the_lock);
}

void service_set_hangup(struct service *service, void (*fn)(void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&the_lock);
    service->hangup = fn;
    service->hangup_ctx = ctx;
    (void)pthread_mutex_unlock(&the_lock);
}

size_t service_components(const struct service *service, struct service_component *out, size_t max)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&the_lock);
    if (service->components != NULL)
        count = service->components(service->components_ctx, out, max);
    (void)pthread_mutex_unlock(&the_lock);
    return count;
}

void service_wait(struct service *service, int64_t wait_ms)
{
    struct pollfd stop = {.fd = service->stop_fd, .events = POLLIN};
    int64_t bounded_ms = wait_ms < 0 ? 0 : wait_ms > INT32_MAX ? INT32_MAX : wait_ms;

    (void)poll(&stop, 1, (int)bounded_ms); /* an early end is a shorter wait, nothing more */
}
