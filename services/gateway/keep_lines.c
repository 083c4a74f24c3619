#include "keep_lines.h"

#include "base/auto.h"
#include "inbox.h"
#include "replayer.h"
#include "runtime/service.h"
#include "settings.h"
#include "spool.h"

#include <stdlib.h>

enum { INBOX_CONNECT_MS = 300, INBOX_QUERY_MS = 500 };

struct keep_lines {
    struct spool *spool;
    struct inbox *inbox;
    struct keep_line *spool_line, *inbox_line;
    struct replayer *replayer;
};

static bool open_stores(struct keep_lines *self, const struct settings *settings, struct error *err)
{
    const struct spool_options spool = {.directory = settings->spool_dir,
                                        .instance = settings->instance_name,
                                        .max_bytes = settings->spool_max_bytes};
    const struct inbox_options inbox = {.postgres = settings->endpoints.live.postgres,
                                        .connect_ms = INBOX_CONNECT_MS,
                                        .query_ms = INBOX_QUERY_MS,
                                        .max_bytes = settings->inbox_max_bytes};

    self->spool = spool_open(&spool, err);
    if (self->spool == NULL)
        return false;
    self->inbox = inbox_open(&inbox, err);
    return self->inbox != NULL;
}

static bool open_lines(struct keep_lines *self, const struct settings *settings, struct error *err)
{
    const struct keep_line_options spool = {
        .name = "spool",
        .store = spool_store(self->spool),
        .queue_max_bytes = (size_t)settings->keep_queue_bytes,
        .writes = GATEWAY_spool_writes_total,
        .queue = GATEWAY_spool_queue_bytes,
    };
    const struct keep_line_options inbox = {
        .name = "inbox",
        .store = inbox_store(self->inbox),
        .queue_max_bytes = (size_t)settings->keep_queue_bytes,
        .writes = GATEWAY_inbox_writes_total,
        .queue = GATEWAY_inbox_queue_bytes,
    };

    self->spool_line = keep_line_open(&spool, err);
    if (self->spool_line == NULL)
        return false;
    self->inbox_line = keep_line_open(&inbox, err);
    return self->inbox_line != NULL;
}

struct keep_lines *keep_lines_open(const struct settings *settings, struct error *err)
{
    AUTO(keep_lines_close) struct keep_lines *self = calloc(1, sizeof(*self));
    struct replayer_options replayer = {.nats = settings->endpoints.live.nats,
                                        .events_per_s = settings->replay_events_per_s,
                                        .batches_per_s = settings->replay_batches_per_s,
                                        .queued_max_ms = (int)settings->publish_try_ms / 2};

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "keep_lines: no memory");
        return NULL;
    }
    if (!open_stores(self, settings, err) || !open_lines(self, settings, err))
        return NULL;
    replayer.spool = self->spool;
    replayer.inbox = self->inbox;
    self->replayer = replayer_open(&replayer, err);
    if (self->replayer == NULL)
        return NULL;
    return TAKE(self);
}

void keep_lines_close(struct keep_lines **lines)
{
    struct keep_lines *self = *lines;

    if (self == NULL)
        return;
    keep_line_close(&self->spool_line);
    keep_line_close(&self->inbox_line);
    replayer_close(&self->replayer);
    inbox_close(&self->inbox);
    spool_close(&self->spool);
    free(self);
    *lines = NULL;
}

struct keep_line *keep_lines_spool(const struct keep_lines *self)
{
    return self->spool_line;
}

struct keep_line *keep_lines_inbox(const struct keep_lines *self)
{
    return self->inbox_line;
}

struct service_component keep_lines_describe_spool(const struct keep_lines *self)
{
    return spool_describe(self->spool);
}

struct service_component keep_lines_describe_inbox(const struct keep_lines *self)
{
    return inbox_describe(self->inbox);
}
