#include "base/auto.h"
#include "check.h"
#include "json_record.h"

#include <stdlib.h>
#include <string.h>

/* The record's views lie in json itself. */
static void parse(struct json_record *json, const char *text, struct error *err)
{
    assert_ok(json_record_read(text, strlen(text), json, err));
}

static void has(const struct json_record *json, enum click_field field, const char *expected)
{
    const struct record_value *value = &json->record.values[field];

    assert_non_null(value->text);
    assert_int_equal(value->size, strlen(expected));
    assert_memory_equal(value->text, expected, value->size);
}

static void refuses(const char *text, struct error *err)
{
    struct json_record json;

    assert_fails(ERROR_INVALID, json_record_read(text, strlen(text), &json, err));
    json_record_free(&json);
}

TEST(reads_texts_and_numbers_of_any_spelling)
{
    AUTO(json_record_free) struct json_record json = {.roots = {NULL, NULL}};
    parse(&json,
          "{\"adId\":7,\"clicked_at\":1767323045678,\"ipAddress\":\"192.0.2.1\","
          "\"videoPlaybackTime\":1.5,\"clickId\":\"x\",\"other\":[1]}",
          err);

    has(&json, CLICK_AD_ID, "7");
    has(&json, CLICK_TIME, "1767323045678");
    has(&json, CLICK_IP, "192.0.2.1");
    has(&json, CLICK_PLAYBACK, "1.5");
    has(&json, CLICK_ID, "x");
    assert_null(json.record.values[CLICK_USER_AGENT].text);
}

TEST(a_null_is_not_given)
{
    AUTO(json_record_free) struct json_record json = {.roots = {NULL, NULL}};
    parse(&json, "{\"ad_id\":\"a\",\"ip\":null}", err);

    assert_null(json.record.values[CLICK_IP].text);
}

TEST(the_better_spelling_wins_wherever_it_stands)
{
    AUTO(json_record_free) struct json_record first = {.roots = {NULL, NULL}};
    parse(&first, "{\"ad_id\":1,\"event_id\":2,\"id\":3}", err);
    AUTO(json_record_free) struct json_record last = {.roots = {NULL, NULL}};
    parse(&last, "{\"ad_id\":1,\"id\":3,\"event_id\":2}", err);

    has(&first, CLICK_ID, "2");
    has(&last, CLICK_ID, "2");
}

TEST(two_spellings_of_one_kind_must_agree)
{
    AUTO(json_record_free) struct json_record json = {.roots = {NULL, NULL}};
    parse(&json, "{\"ad_id\":1,\"adId\":1}", err);

    has(&json, CLICK_AD_ID, "1");
    refuses("{\"ad_id\":1,\"adId\":2}", err);
    assert_string_equal(err->text, "two spellings of ad_id disagree");
}

TEST(looks_through_one_wrapping)
{
    AUTO(json_record_free) struct json_record object = {.roots = {NULL, NULL}};
    parse(&object, "{\"click\":{\"ad_id\":\"a\"},\"error\":\"x\"}", err);
    AUTO(json_record_free) struct json_record text = {.roots = {NULL, NULL}};
    parse(&text, "{\"payload\":\"{\\\"ad_id\\\":\\\"b\\\"}\"}", err);
    AUTO(json_record_free) struct json_record reject = {.roots = {NULL, NULL}};
    parse(&reject,
          "{\"source\":\"clicks\",\"place\":\"row 1\",\"reason\":\"why\","
          "\"record\":{\"ad_id\":\"c\",\"timestamp\":1}}",
          err);

    has(&object, CLICK_AD_ID, "a");
    has(&text, CLICK_AD_ID, "b");
    has(&reject, CLICK_AD_ID, "c");
}

TEST(refuses_what_is_no_record)
{
    refuses("", err);
    refuses("{", err);
    refuses("[1]", err);
    refuses("17", err);
    refuses("{\"ad_id\":1} x", err);
    refuses("{\"ad_id\":1,\"ad_id\":2}", err);
    refuses("{\"ad_id\":true}", err);
    refuses("{\"ad_id\":{}}", err);
    refuses("{\"ad_id\":\"\xff\"}", err);
}

TEST(refuses_a_record_that_is_far_too_long)
{
    AUTO(auto_free) char *text = malloc(JSON_RECORD_MAX + 2);

    assert_non_null(text);
    memset(text, ' ', JSON_RECORD_MAX + 1);
    text[JSON_RECORD_MAX + 1] = '\0';
    refuses(text, err);
}

TESTS(RUN(reads_texts_and_numbers_of_any_spelling), RUN(a_null_is_not_given),
      RUN(the_better_spelling_wins_wherever_it_stands), RUN(two_spellings_of_one_kind_must_agree),
      RUN(looks_through_one_wrapping), RUN(refuses_what_is_no_record),
      RUN(refuses_a_record_that_is_far_too_long))
