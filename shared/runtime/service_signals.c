#include "runtime/service_signals.h"

#include "base/auto.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signals {
    signal_fn on_signal;
    void *ctx;
    int signal_fd;
    int close_fd; /* readable: the thread must end */
    sigset_t old_mask;
    bool is_masked;
    pthread_t thread;
    bool is_started;
};

static void *run(void *ctx)
{
    struct signals *signals = ctx;
    struct pollfd watched[] = {
        {.fd = signals->close_fd, .events = POLLIN},
        {.fd = signals->signal_fd, .events = POLLIN},
    };

    /* No deadline: nothing is owed to anyone until a signal or the close comes. */
    while (watched[0].revents == 0) {
        struct signalfd_siginfo info;

        if (poll(watched, 2, -1) < 0)
            continue; /* EINTR: a debugger, say */
        if (watched[1].revents != 0 &&
            read(signals->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
            signals->on_signal(signals->ctx, (int)info.ssi_signo);
    }
    return NULL;
}

static bool block(struct signals *signals, sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    errno = pthread_sigmask(SIG_BLOCK, set, &signals->old_mask);
    signals->is_masked = errno == 0;
    return signals->is_masked;
}

static bool start(struct signals *signals)
{
    sigset_t set;

    if (!block(signals, &set))
        return false;
    signals->close_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    signals->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->close_fd < 0 || signals->signal_fd < 0)
        return false;
    errno = pthread_create(&signals->thread, NULL, run, signals);
    signals->is_started = errno == 0;
    return signals->is_started;
}

struct signals *signals_open(signal_fn on_signal, void *ctx, struct error *err)
{
    AUTO(signals_close) struct signals *signals = calloc(1, sizeof(*signals));

    if (signals == NULL) {
        error_set(err, ERROR_LIMIT, "signals: no memory");
        return NULL;
    }
    signals->on_signal = on_signal;
    signals->ctx = ctx;
    signals->signal_fd = -1;
    signals->close_fd = -1;
    if (!start(signals)) {
        error_set(err, ERROR_INTERNAL, "signals: %s", strerrordesc_np(errno));
        return NULL;
    }
    return TAKE(signals);
}

void signals_close(struct signals **signals)
{
    struct signals *owned = TAKE(*signals);

    if (owned == NULL)
        return;
    if (owned->is_started) {
        (void)eventfd_write(owned->close_fd, 1);
        (void)pthread_join(owned->thread, NULL);
    }
    if (owned->signal_fd >= 0)
        (void)close(owned->signal_fd);
    if (owned->close_fd >= 0)
        (void)close(owned->close_fd);
    if (owned->is_masked)
        (void)pthread_sigmask(SIG_SETMASK, &owned->old_mask, NULL);
    free(owned);
}
