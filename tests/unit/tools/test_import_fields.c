#include "check.h"
#include "fields.h"

static int field_of(const struct field_table *table, const char *name)
{
    int field = -1;
    size_t rank = 0;

    return field_find(table, name, &field, &rank) ? field : -1;
}

TEST(knows_a_click_field_by_every_spelling_of_the_earlier_trackers)
{
    static const struct {
        const char *name;
        enum click_field field;
    } spellings[] = {
        {"id", CLICK_ID},
        {"click_id", CLICK_ID},
        {"event_id", CLICK_ID},
        {"ad_id", CLICK_AD_ID},
        {"adId", CLICK_AD_ID},
        {"AdID", CLICK_AD_ID},
        {"timestamp", CLICK_TIME},
        {"clicked_at", CLICK_TIME},
        {"click_time", CLICK_TIME},
        {"created_at", CLICK_TIME},
        {"createdAt", CLICK_TIME},
        {"ip", CLICK_IP},
        {"ip_address", CLICK_IP},
        {"ipAddress", CLICK_IP},
        {"user_ip", CLICK_IP},
        {"playback_time", CLICK_PLAYBACK},
        {"video_playback_time", CLICK_PLAYBACK},
        {"videoPlaybackTime", CLICK_PLAYBACK},
        {"video_play_time", CLICK_PLAYBACK},
        {"playback_seconds", CLICK_PLAYBACK},
        {"user_agent", CLICK_USER_AGENT},
    };

    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        assert_int_equal(field_of(&click_fields, spellings[i].name), spellings[i].field);
}

TEST(knows_an_ad_field_by_every_spelling_of_the_earlier_trackers)
{
    static const struct {
        const char *name;
        enum ad_field field;
    } spellings[] = {
        {"id", AD_ID},
        {"title", AD_TITLE},
        {"name", AD_TITLE},
        {"image_url", AD_IMAGE_URL},
        {"imageUrl", AD_IMAGE_URL},
        {"image", AD_IMAGE_URL},
        {"video_url", AD_VIDEO_URL},
        {"video", AD_VIDEO_URL},
        {"target_url", AD_TARGET_URL},
        {"targetUrl", AD_TARGET_URL},
        {"url", AD_TARGET_URL},
        {"landing_url", AD_TARGET_URL},
        {"created_at", AD_CREATED_AT},
    };

    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        assert_int_equal(field_of(&ad_fields, spellings[i].name), spellings[i].field);
}

TEST(takes_no_name_that_only_begins_or_ends_like_a_field)
{
    assert_int_equal(field_of(&click_fields, "ad_ids"), -1);
    assert_int_equal(field_of(&click_fields, "ad"), -1);
    assert_int_equal(field_of(&click_fields, ""), -1);
    assert_int_equal(field_of(&click_fields, "_"), -1);
}

TEST(ranks_a_clients_own_id_before_a_tables_key)
{
    size_t event = 0;
    size_t key = 0;
    int field = 0;

    assert_true(field_find(&click_fields, "event_id", &field, &event));
    assert_true(field_find(&click_fields, "id", &field, &key));

    assert_true(event < key);
}

TESTS(RUN(knows_a_click_field_by_every_spelling_of_the_earlier_trackers),
      RUN(knows_an_ad_field_by_every_spelling_of_the_earlier_trackers),
      RUN(takes_no_name_that_only_begins_or_ends_like_a_field),
      RUN(ranks_a_clients_own_id_before_a_tables_key))
