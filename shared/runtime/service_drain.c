#include "runtime/service_drain.h"

#include "base/auto.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct drain {
    int stop_fd; /* borrowed */
    int done_fd; /* readable from drain_close on */
    int64_t max_ms;
    pthread_t thread;
    bool has_thread;
};

/* Waits until one of the two is readable; wait_ms -1: for ever. */
static bool is_done_within(const struct drain *self, bool with_stop, int64_t wait_ms)
{
    struct pollfd fds[] = {{.fd = self->done_fd, .events = POLLIN},
                           {.fd = with_stop ? self->stop_fd : -1, .events = POLLIN}};
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    int64_t left_ms = wait_ms;

    /* Signals are blocked in this thread; a poll that ends early begins again. */
    while (poll(fds, 2, (int)left_ms) <= 0 && (wait_ms < 0 || left_ms > 0))
        left_ms = wait_ms < 0 ? wait_ms : deadline_ms - clock_now_ms();
    return fds[0].revents != 0;
}

static void *on_start(void *ctx)
{
    const struct drain *self = ctx;

    if (is_done_within(self, true, -1) || is_done_within(self, false, self->max_ms))
        return NULL;
    log_error("drain_abandoned",
              "after_ms=%lld why=\"something under way does not end; it is cut off as by a kill, "
              "and what was not committed is done again\"",
              (long long)self->max_ms);
    _exit(EXIT_SUCCESS);
}

struct drain *drain_open(int stop_fd, int64_t max_ms, struct error *err)
{
    AUTO(drain_close) struct drain *self = calloc(1, sizeof(*self));

    if (self != NULL) {
        self->stop_fd = stop_fd;
        self->max_ms = max_ms;
        self->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (self == NULL || self->done_fd < 0 ||
        pthread_create(&self->thread, NULL, on_start, self) != 0) {
        error_set(err, ERROR_LIMIT, "service: no memory or no thread to limit the drain");
        return NULL;
    }
    self->has_thread = true;
    return TAKE(self);
}

void drain_close(struct drain **drain)
{
    struct drain *self = TAKE(*drain);

    if (self == NULL)
        return;
    if (self->has_thread) {
        (void)eventfd_write(self->done_fd, 1);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->done_fd >= 0)
        (void)close(self->done_fd);
    free(self);
}
