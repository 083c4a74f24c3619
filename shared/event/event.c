#include "event/event.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const event_type_names[EVENT_TYPE_COUNT + 1] = {
    [EVENT_UNSPECIFIED] = "unspecified",
    [EVENT_CLICK] = "click",
    [EVENT_IMPRESSION] = "impression",
    [EVENT_START] = "start",
    [EVENT_FIRST_QUARTILE] = "first_quartile",
    [EVENT_MIDPOINT] = "midpoint",
    [EVENT_THIRD_QUARTILE] = "third_quartile",
    [EVENT_COMPLETE] = "complete",
    [EVENT_SKIP] = "skip",
};

const char *const event_reason_names[EVENT_REASON_COUNT + 1] = {
    [EVENT_VALID] = "",    [EVENT_CRAWLER] = "crawler",           [EVENT_PREFETCH] = "prefetch",
    [EVENT_HEAD] = "head", [EVENT_DOUBLE_CLICK] = "double_click",
};

enum event_type event_type_find(const char *name, size_t size_bytes)
{
    for (int type = EVENT_CLICK; type < EVENT_TYPE_COUNT; type++) {
        if (strlen(event_type_names[type]) == size_bytes &&
            memcmp(event_type_names[type], name, size_bytes) == 0)
            return (enum event_type)type;
    }
    return EVENT_UNSPECIFIED;
}

static bool is_ad_id_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
}

bool event_ad_id_is_valid(const char *ad_id, size_t size_bytes)
{
    if (size_bytes == 0 || size_bytes > EVENT_AD_ID_MAX)
        return false;
    for (size_t i = 0; i < size_bytes; i++) {
        if (!is_ad_id_byte((unsigned char)ad_id[i]))
            return false;
    }
    return true;
}

uint32_t event_partition(const char *ad_id, size_t size_bytes, uint32_t partition_count)
{
    assert(partition_count > 0);
    return (uint32_t)(XXH3_64bits(ad_id, size_bytes) % partition_count);
}
