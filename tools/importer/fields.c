#include "fields.h"

#include <ctype.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct field click_field_rows[] = {
    [CLICK_ID] = {"id", FIELD_KEY, false},
    [CLICK_AD_ID] = {"ad_id", FIELD_KEY, true},
    [CLICK_TIME] = {"timestamp", FIELD_TIME, true},
    [CLICK_IP] = {"ip", FIELD_ADDRESS, false},
    [CLICK_PLAYBACK] = {"playback_time", FIELD_SECONDS, false},
    [CLICK_USER_AGENT] = {"user_agent", FIELD_WORDS, false},
};

/*
 * The id that a client gave stands before a table's own key: the same click in a table and in a
 * file carries the former in both. A row's created_at is the last resort for when it was clicked.
 */
static const struct field_alias click_alias_rows[] = {
    {"eventid", CLICK_ID},
    {"clickid", CLICK_ID},
    {"id", CLICK_ID},
    {"adid", CLICK_AD_ID},
    {"timestamp", CLICK_TIME},
    {"clickedat", CLICK_TIME},
    {"clicktime", CLICK_TIME},
    {"eventtime", CLICK_TIME},
    {"createdat", CLICK_TIME},
    {"ip", CLICK_IP},
    {"ipaddress", CLICK_IP},
    {"userip", CLICK_IP},
    {"clientip", CLICK_IP},
    {"playbacktime", CLICK_PLAYBACK},
    {"videoplaybacktime", CLICK_PLAYBACK},
    {"videoplaytime", CLICK_PLAYBACK},
    {"playbackseconds", CLICK_PLAYBACK},
    {"videoplaybackseconds", CLICK_PLAYBACK},
    {"useragent", CLICK_USER_AGENT},
};

static const struct field ad_field_rows[] = {
    [AD_ID] = {"id", FIELD_KEY, true},
    [AD_TITLE] = {"title", FIELD_WORDS, false},
    [AD_IMAGE_URL] = {"image_url", FIELD_WORDS, false},
    [AD_VIDEO_URL] = {"video_url", FIELD_WORDS, false},
    [AD_TARGET_URL] = {"target_url", FIELD_WORDS, false},
    [AD_CREATED_AT] = {"created_at", FIELD_TIME, false},
};

static const struct field_alias ad_alias_rows[] = {
    {"id", AD_ID},
    {"adid", AD_ID},
    {"title", AD_TITLE},
    {"name", AD_TITLE},
    {"imageurl", AD_IMAGE_URL},
    {"image", AD_IMAGE_URL},
    {"videourl", AD_VIDEO_URL},
    {"video", AD_VIDEO_URL},
    {"targeturl", AD_TARGET_URL},
    {"landingurl", AD_TARGET_URL},
    {"url", AD_TARGET_URL},
    {"createdat", AD_CREATED_AT},
};

const struct field_table click_fields = {
    .fields = click_field_rows,
    .field_count = COUNT(click_field_rows),
    .aliases = click_alias_rows,
    .alias_count = COUNT(click_alias_rows),
};

const struct field_table ad_fields = {
    .fields = ad_field_rows,
    .field_count = COUNT(ad_field_rows),
    .aliases = ad_alias_rows,
    .alias_count = COUNT(ad_alias_rows),
};

static bool is_spelling(const char *name, const char *alias)
{
    for (; *name != '\0'; name++) {
        if (*name == '_')
            continue;
        if (tolower((unsigned char)*name) != *alias)
            return false;
        alias++;
    }
    return *alias == '\0';
}

bool field_find(const struct field_table *table, const char *name, int *out_field, size_t *out_rank)
{
    for (size_t i = 0; i < table->alias_count; i++) {
        if (!is_spelling(name, table->aliases[i].name))
            continue;
        *out_field = table->aliases[i].field;
        *out_rank = i;
        return true;
    }
    return false;
}
