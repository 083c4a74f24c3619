/* The body of one event: whatever is taken obeys every rule, whatever is refused says why. */
#include "fuzz.h"

#include "event/decode.h"
#include "event/event_id.h"

#include <string.h>

static void check_event(const struct decoded *decoded, const struct decode_context *context)
{
    const struct event *event = &decoded->event;
    int version = event_id_version(event->id);

    FUZZ_ASSERT(event_ad_id_is_valid(event->ad_id, event->ad_id_size));
    FUZZ_ASSERT(strlen(event->ad_id) == event->ad_id_size);
    FUZZ_ASSERT(version == 7 || version == 8);
    FUZZ_ASSERT(event->type > EVENT_UNSPECIFIED && event->type < EVENT_TYPE_COUNT);
    FUZZ_ASSERT(event->event_at_ms >= 0 && event->event_at_ms <= EVENT_AT_MS_MAX);
    FUZZ_ASSERT(event->received_at_ms == context->received_at_ms);
    FUZZ_ASSERT(event->ip.size == 0 || event->ip.size == 4 || event->ip.size == 16);
    FUZZ_ASSERT(event->playback_ms >= EVENT_PLAYBACK_ABSENT && event->playback_ms <= 86400000);
    FUZZ_ASSERT(strlen(decoded->client_id) == 36);
}

static void check_faults(const struct faults *faults)
{
    FUZZ_ASSERT(faults->count > 0);
    for (size_t i = 0; i < faults->count && i < DECODE_FAULTS_MAX; i++) {
        FUZZ_ASSERT(faults->rows[i].code < FAULT_COUNT);
        FUZZ_ASSERT(faults->rows[i].detail[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoder *decoder;
    const struct decode_context context = {
        .received_at_ms = 1767323045678,
        .type = size % 2 == 0 ? EVENT_CLICK : EVENT_UNSPECIFIED,
        .trust_ip = size % 3 == 0,
    };
    struct decoded decoded;
    struct faults faults = {0};

    if (decoder == NULL)
        decoder = decoder_new();
    FUZZ_ASSERT(decoder != NULL);
    if (decode_event(decoder, (const char *)data, size, &context, &decoded, &faults))
        check_event(&decoded, &context);
    else
        check_faults(&faults);
    return 0;
}
