#include "event/decode_fields.h"

#include <string.h>

#define ROW(name)                                                                                  \
    {                                                                                              \
        (name), sizeof(name) - 1                                                                   \
    }

static const struct {
    const char *name;
    size_t size;
} spellings[SPELLING_COUNT] = {
    [SPELLING_AD_ID] = ROW("ad_id"),
    [SPELLING_AD_ID_CAMEL] = ROW("adId"),
    [SPELLING_TYPE] = ROW("type"),
    [SPELLING_TIMESTAMP] = ROW("timestamp"),
    [SPELLING_IP] = ROW("ip"),
    [SPELLING_IP_ADDRESS] = ROW("ip_address"),
    [SPELLING_IP_ADDRESS_CAMEL] = ROW("ipAddress"),
    [SPELLING_PLAYBACK_TIME] = ROW("playback_time"),
    [SPELLING_VIDEO_PLAYBACK_TIME] = ROW("video_playback_time"),
    [SPELLING_VIDEO_PLAYBACK_TIME_CAMEL] = ROW("videoPlaybackTime"),
    [SPELLING_VIDEO_PLAY_TIME] = ROW("video_play_time"),
    [SPELLING_EVENT_ID] = ROW("event_id"),
    [SPELLING_EVENT_ID_CAMEL] = ROW("eventId"),
    [SPELLING_CLICK_ID] = ROW("click_id"),
    [SPELLING_CLICK_ID_CAMEL] = ROW("clickId"),
};

static const struct {
    enum spelling first, last; /* the first is the canonical one */
} ranges[FIELD_COUNT] = {
    [FIELD_AD_ID] = {SPELLING_AD_ID, SPELLING_AD_ID_CAMEL},
    [FIELD_TYPE] = {SPELLING_TYPE, SPELLING_TYPE},
    [FIELD_TIMESTAMP] = {SPELLING_TIMESTAMP, SPELLING_TIMESTAMP},
    [FIELD_IP] = {SPELLING_IP, SPELLING_IP_ADDRESS_CAMEL},
    [FIELD_PLAYBACK_TIME] = {SPELLING_PLAYBACK_TIME, SPELLING_VIDEO_PLAY_TIME},
    [FIELD_EVENT_ID] = {SPELLING_EVENT_ID, SPELLING_CLICK_ID_CAMEL},
};

enum spelling spelling_find(const char *name, size_t size_bytes)
{
    for (int i = 0; i < SPELLING_COUNT; i++) {
        if (spellings[i].size == size_bytes && memcmp(spellings[i].name, name, size_bytes) == 0)
            return (enum spelling)i;
    }
    return SPELLING_UNKNOWN;
}

const char *spelling_name(enum spelling spelling)
{
    return spellings[spelling].name;
}

const char *field_name(enum field_id field)
{
    return spellings[ranges[field].first].name;
}

void field_spellings(enum field_id field, enum spelling *out_first, enum spelling *out_last)
{
    *out_first = ranges[field].first;
    *out_last = ranges[field].last;
}
