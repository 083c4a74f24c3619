#include "stream_watch.h"

#include "clients/bus.h"
#include "metrics.h"
#include "runtime/log.h"

#include <stdlib.h>

enum { CONNECT_MS = 1000, REQUEST_MS = 1000 };

struct stream_watch {
    struct bus_options options;
    uint32_t partition_count;
    int64_t max_bytes;
    struct bus *bus;   /* owned; NULL: not connected yet */
    int64_t looked_ms; /* when the last look ended; 0: never */
};

struct stream_watch *stream_watch_new(struct endpoint *nats, uint32_t partition_count,
                                      int64_t max_bytes)
{
    struct stream_watch *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->options = (struct bus_options){.endpoint = nats,
                                         .name = "adledger-gateway-watch",
                                         .connect_ms = CONNECT_MS,
                                         .request_ms = REQUEST_MS,
                                         .is_discoverable = true};
    self->partition_count = partition_count;
    self->max_bytes = max_bytes;
    return self;
}

void stream_watch_close(struct stream_watch **watch)
{
    if (*watch == NULL)
        return;
    bus_close(&(*watch)->bus);
    free(*watch);
    *watch = NULL;
}

static bool look(struct stream_watch *self, struct error *err)
{
    struct stream_state state;

    if (self->bus == NULL)
        self->bus = bus_open(&self->options, err);
    if (self->bus == NULL)
        return false;
    for (uint32_t i = 0; i < self->partition_count; i++) {
        if (!stream_get_state(self->bus, i, &state, err))
            return false;
        gateway_set_by(GATEWAY_stream_messages, i, (double)state.messages);
        gateway_set_by(GATEWAY_stream_bytes, i, (double)state.bytes);
        gateway_set_by(GATEWAY_stream_max_bytes, i, (double)self->max_bytes);
        gateway_set_by(GATEWAY_stream_last_sequence, i, (double)state.last_seq);
    }
    return true;
}

void stream_watch_step(struct stream_watch *watch, int64_t now_ms, int64_t at_ms)
{
    struct error err;

    if (watch == NULL || (watch->looked_ms != 0 && now_ms - watch->looked_ms < STREAM_WATCH_MS))
        return;
    watch->looked_ms = now_ms;
    if (look(watch, &err))
        gateway_set(GATEWAY_stream_seen_at_seconds, (double)at_ms / 1e3);
    else
        log_debug("streams_unseen", "why=\"%s\"", err.text); /* the publisher tells the outage */
}
