/*
 * event.h — what an ad event is, once it has been checked
 *
 * Units:  event_at_ms and received_at_ms are Unix milliseconds, playback_ms milliseconds.
 * Memory: a plain value; nothing to free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EVENT_ID_SIZE = 16,
    EVENT_ID_TEXT_SIZE = 37, /* 8-4-4-4-12 hexadecimal digits, hyphens and a NUL */
    EVENT_AD_ID_MAX = 64,
    EVENT_PLAYBACK_ABSENT = -1,
    EVENT_PLAYBACK_MAX_S = 86400,
};

/* Every time of an event lies in 0..this: the years 1970 to 9999. */
#define EVENT_AT_MS_MAX INT64_C(253402300799999)

/* Values are those of proto/adledger/v1/events.proto. */
enum event_type {
    EVENT_UNSPECIFIED,
    EVENT_CLICK,
    EVENT_IMPRESSION,
    EVENT_START,
    EVENT_FIRST_QUARTILE,
    EVENT_MIDPOINT,
    EVENT_THIRD_QUARTILE,
    EVENT_COMPLETE,
    EVENT_SKIP,
    EVENT_TYPE_COUNT,
};

enum event_reason {
    EVENT_VALID,
    EVENT_CRAWLER,
    EVENT_PREFETCH,
    EVENT_HEAD,
    EVENT_DOUBLE_CLICK,
    EVENT_REASON_COUNT,
};

enum event_flag { EVENT_CLOCK_SKEW = 1, EVENT_AD_UNRESOLVED = 2, EVENT_CLIENT_TIME = 4 };

struct event_ip {
    uint8_t bytes[16];
    uint8_t size; /* 0: unknown or not stored, 4 or 16 */
};

struct event {
    uint8_t id[EVENT_ID_SIZE];
    enum event_type type;
    enum event_reason reason;
    uint32_t flags; /* bits of enum event_flag */
    char ad_id[EVENT_AD_ID_MAX + 1];
    uint8_t ad_id_size;
    struct event_ip ip;
    uint64_t visitor; /* 0: unknown */
    int64_t event_at_ms;
    int64_t received_at_ms;
    int64_t playback_ms; /* EVENT_PLAYBACK_ABSENT: not given */
};

/* "click", "first_quartile"; NULL-terminated, index is the enum. event_type_names[0] is
 * "unspecified". */
extern const char *const event_type_names[EVENT_TYPE_COUNT + 1];
/* "", "crawler", "prefetch", "head", "double_click". */
extern const char *const event_reason_names[EVENT_REASON_COUNT + 1];

/* EVENT_UNSPECIFIED when the name is none of ours. */
enum event_type event_type_find(const char *name, size_t size_bytes);

bool event_ad_id_is_valid(const char *ad_id, size_t size_bytes);

/* The partition that keeps an ad: XXH3_64bits(ad_id) % partition_count. */
uint32_t event_partition(const char *ad_id, size_t size_bytes, uint32_t partition_count);
