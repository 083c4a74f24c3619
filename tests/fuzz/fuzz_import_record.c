/* A line of an earlier tracker's file: what becomes a click obeys the rules of every event, and has
 * the same id in every run. */
#include "fuzz.h"

#include "event/codec.h"
#include "event/event_id.h"
#include "identity.h"
#include "json_record.h"

static void check_event(const struct event *event)
{
    FUZZ_ASSERT(event->type == EVENT_CLICK && event->visitor == 0);
    FUZZ_ASSERT(event_ad_id_is_valid(event->ad_id, event->ad_id_size));
    FUZZ_ASSERT(strlen(event->ad_id) == event->ad_id_size);
    FUZZ_ASSERT(event->event_at_ms > 0 && event->event_at_ms <= EVENT_AT_MS_MAX);
    FUZZ_ASSERT(event->received_at_ms == event->event_at_ms);
    FUZZ_ASSERT(event->ip.size == 0 || event->ip.size == 4 || event->ip.size == 16);
    FUZZ_ASSERT(event->playback_ms >= EVENT_PLAYBACK_ABSENT &&
                event->playback_ms <= CODEC_PLAYBACK_MAX_MS);
}

static bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    const struct event *sent = ctx;

    FUZZ_ASSERT(index == 0 && event != NULL && why == NULL);
    FUZZ_ASSERT(memcmp(event->id, sent->id, sizeof(sent->id)) == 0);
    FUZZ_ASSERT(event->event_at_ms == sent->event_at_ms);
    FUZZ_ASSERT(event->playback_ms == sent->playback_ms);
    return true;
}

/* Nothing that the importer publishes may die at the readers. */
static void check_codec(struct event *event)
{
    const struct codec_header header = {.batch_no = 1};
    uint8_t bytes[CODEC_EVENT_MAX + CODEC_HEADER_MAX];
    struct codec_header read;
    struct error err;
    size_t size = codec_append_event(bytes, event);

    size += codec_append_header(bytes + size, &header);
    FUZZ_ASSERT(codec_read_batch(bytes, size, &read, on_event, event, &err));
}

static void check_identity(struct click *click)
{
    static struct ordinals *ordinals;
    struct click again = *click;
    struct error err;
    int version;

    if (ordinals == NULL)
        ordinals = ordinals_new();
    FUZZ_ASSERT(ordinals != NULL);
    FUZZ_ASSERT(identity_give(ordinals, click, &err));
    ordinals_reset(ordinals);
    FUZZ_ASSERT(identity_give(ordinals, &again, &err));
    ordinals_reset(ordinals);
    FUZZ_ASSERT(memcmp(click->event.id, again.event.id, EVENT_ID_SIZE) == 0);
    version = event_id_version(click->event.id);
    FUZZ_ASSERT(version == 7 || version == 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_record json = {.roots = {NULL, NULL}};
    struct click click;
    struct error err = {.kind = ERROR_NONE};

    if (json_record_read((const char *)data, size, &json, &err) &&
        click_from_record(&json.record, &click, &err)) {
        check_event(&click.event);
        check_identity(&click);
        check_codec(&click.event);
    } else {
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
        FUZZ_ASSERT(err.text[0] != '\0');
    }
    json_record_free(&json);
    return 0;
}
