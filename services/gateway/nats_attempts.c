#include "nats_attempts.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "base/told.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "stopper.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdlib.h>

enum { ATTEMPT_BASE_MS = 50, ATTEMPT_CAP_MS = 1000 };

struct nats_attempts {
    struct nats_attempts_options options;
    pthread_t thread;
    struct stopper stopper;
};

static void *on_thread(void *ctx)
{
    struct nats_attempts *self = ctx;
    const struct nats_attempts_options *options = &self->options;
    struct error err = {0};
    struct told last_failure = {0};
    struct backoff backoff;

    backoff_init(&backoff, ATTEMPT_BASE_MS, ATTEMPT_CAP_MS, (uint64_t)clock_now_us());
    while (!options->attempt(options->ctx, &err)) {
        if (told_is_news(&last_failure, &err))
            log_warn(options->event, "name=\"%s\" why=\"%s\"", options->name, err.text);
        if (!stopper_wait(&self->stopper, backoff_next_ms(&backoff)))
            break;
    }
    if (options->on_end != NULL)
        options->on_end(options->ctx);
    nats_ReleaseThreadMemory();
    return NULL;
}

struct nats_attempts *nats_attempts_open(const struct nats_attempts_options *options,
                                         struct error *err)
{
    struct nats_attempts *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "nats: no memory to connect");
        return NULL;
    }
    self->options = *options;
    stopper_init(&self->stopper);
    if (pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        (void)error_set(err, ERROR_LIMIT, "nats: no thread to connect");
        stopper_free(&self->stopper);
        free(self);
        return NULL;
    }
    return self;
}

void nats_attempts_hurry(struct nats_attempts *self)
{
    stopper_stop(&self->stopper);
}

void nats_attempts_close(struct nats_attempts **attempts)
{
    struct nats_attempts *self = TAKE(*attempts);

    if (self == NULL)
        return;
    stopper_stop(&self->stopper);
    pthread_join(self->thread, NULL);
    stopper_free(&self->stopper);
    free(self);
}
