/* An event id: what is read is written the same but for its case, and nothing else is read. */
#include "fuzz.h"

#include "event/event_id.h"

#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t id[EVENT_ID_SIZE] = {0};
    uint8_t again[EVENT_ID_SIZE] = {0};
    uint8_t made[EVENT_ID_SIZE] = {0};
    char text[EVENT_ID_TEXT_SIZE];
    int version;

    if (!event_id_parse((const char *)data, size, id))
        return 0;
    event_id_format(id, text);
    FUZZ_ASSERT(size == sizeof(text) - 1 && strncasecmp((const char *)data, text, size) == 0);
    FUZZ_ASSERT(event_id_parse(text, size, again) && memcmp(id, again, sizeof(id)) == 0);
    version = event_id_version(id);
    FUZZ_ASSERT(version >= 0 && version <= 15);
    FUZZ_ASSERT(event_id_at_ms(id) >= 0 && event_id_at_ms(id) >> 48 == 0);
    event_id_from_foreign(id, event_id_at_ms(id), made);
    FUZZ_ASSERT(event_id_version(made) == 8 && event_id_at_ms(made) == event_id_at_ms(id));
    return 0;
}
