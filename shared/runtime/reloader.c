#include "runtime/reloader.h"

#include "base/auto.h"
#include "runtime/log.h"
#include "runtime/process_options.h"
#include "runtime/service.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct reloader {
    struct reload_options options;
    int wake_fd; /* readable: reload, or stop */
    atomic_bool is_stopping;
    pthread_t thread;
    bool is_started;
};

static void on_hangup(void *ctx);
static void *on_thread(void *ctx);
static void reload(const struct reload_options *options);
static bool take_up(const struct reload_options *options, void *fresh, struct error *err);

struct reloader *reloader_open(const struct reload_options *options, struct error *err)
{
    AUTO(reloader_close) struct reloader *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "reloader: no memory");
        return NULL;
    }
    self->options = *options;
    self->wake_fd = eventfd(0, EFD_CLOEXEC);
    errno = self->wake_fd < 0 ? errno : pthread_create(&self->thread, NULL, on_thread, self);
    self->is_started = self->wake_fd >= 0 && errno == 0;
    if (!self->is_started) {
        (void)error_set(err, ERROR_LIMIT, "reloader: %s", strerrordesc_np(errno));
        return NULL;
    }
    service_set_hangup(options->service, on_hangup, self);
    return TAKE(self);
}

void reloader_close(struct reloader **reloader)
{
    struct reloader *self = *reloader;

    if (self == NULL)
        return;
    *reloader = NULL;
    if (self->is_started) {
        service_set_hangup(self->options.service, NULL, NULL);
        atomic_store(&self->is_stopping, true);
        on_hangup(self);
        (void)pthread_join(self->thread, NULL);
    }
    if (self->wake_fd >= 0)
        (void)close(self->wake_fd);
    free(self);
}

static void on_hangup(void *ctx)
{
    const struct reloader *self = ctx;

    (void)eventfd_write(self->wake_fd, 1); /* it counts to 2^64: it cannot be full */
}

static void *on_thread(void *ctx)
{
    struct reloader *self = ctx;
    eventfd_t count = 0;

    /* No deadline: nothing is owed to anyone until a signal or the close comes. */
    while (eventfd_read(self->wake_fd, &count) == 0 || errno == EINTR) {
        if (atomic_load(&self->is_stopping))
            break;
        reload(&self->options);
    }
    return NULL;
}

static void reload(const struct reload_options *options)
{
    AUTO(auto_free) void *fresh = calloc(1, options->settings_size);
    struct error err = {ERROR_LIMIT, "no memory"};
    bool is_done;

    log_reopen();
    is_done = fresh != NULL && take_up(options, fresh, &err);
    if (fresh != NULL)
        config_free(options->rows, fresh);
    if (!is_done)
        log_error("reload_failed", "why=\"%s\"", err.text);
}

/* Returns how many there are. */
static int tell_frozen(const struct reload_options *options, const void *fresh)
{
    const struct option_row *row = config_find_frozen(options->rows, options->settings, fresh);
    int count = 0;

    for (; row != NULL; row = config_find_frozen(row + 1, options->settings, fresh)) {
        log_warn("setting_needs_restart", "name=\"%s\"", row->name);
        count++;
    }
    return count;
}

static bool take_up(const struct reload_options *options, void *fresh, struct error *err)
{
    struct process_settings process;
    enum log_level level;
    int frozen;

    if (!config_load(options->rows, fresh, err))
        return false;
    memcpy(&process, (char *)fresh + options->process_offset, sizeof(process));
    if (!log_parse_level(process.log_level, &level))
        return error_set(err, ERROR_INVALID, "LOG_LEVEL: unknown level");
    if (options->apply != NULL && !options->apply(options->ctx, fresh, err))
        return false;
    log_set_level(level); /* the first thing that cannot fail */
    frozen = tell_frozen(options, fresh);
    log_info("settings_reloaded", "need_restart=%d", frozen);
    return true;
}
