/* A message from the stream: events that are read are valid, and read the same when sent again. */
#include "fuzz.h"

#include "event/codec.h"
#include "event/event_id.h"

#include <string.h>

struct sent {
    uint8_t bytes[CODEC_EVENT_MAX + CODEC_HEADER_MAX];
    size_t event_size;
};

static bool on_event_again(void *ctx, size_t index, const struct event *event, const char *why)
{
    const struct sent *sent = ctx;
    uint8_t bytes[CODEC_EVENT_MAX];

    FUZZ_ASSERT(index == 0 && event != NULL && why == NULL);
    FUZZ_ASSERT(codec_append_event(bytes, event) == sent->event_size);
    FUZZ_ASSERT(memcmp(bytes, sent->bytes, sent->event_size) == 0);
    return true;
}

static void send_again(const struct event *event)
{
    const struct codec_header header = {.batch_no = 1};
    struct codec_header read;
    struct error err;
    struct sent sent;
    size_t size = codec_append_event(sent.bytes, event);

    FUZZ_ASSERT(size <= CODEC_EVENT_MAX);
    sent.event_size = size;
    size += codec_append_header(sent.bytes + size, &header);
    FUZZ_ASSERT(codec_read_batch(sent.bytes, size, &read, on_event_again, &sent, &err));
}

struct source {
    const uint8_t *bytes;
    size_t size;
};

static bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    const struct source *source = ctx;
    const uint8_t *found = NULL;
    size_t found_size = 0;

    FUZZ_ASSERT((event == NULL) == (why != NULL));
    FUZZ_ASSERT(codec_find_event(source->bytes, source->size, index, &found, &found_size));
    FUZZ_ASSERT(found >= source->bytes && found + found_size <= source->bytes + source->size);
    if (event == NULL)
        return true;
    FUZZ_ASSERT(event_ad_id_is_valid(event->ad_id, event->ad_id_size));
    FUZZ_ASSERT(event_id_version(event->id) == 7 || event_id_version(event->id) == 8);
    send_again(event);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = {.bytes = data, .size = size};
    struct codec_header header;
    struct error err = {.kind = ERROR_NONE};

    if (!codec_read_batch(data, size, &header, on_event, &source, &err))
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
    return 0;
}
