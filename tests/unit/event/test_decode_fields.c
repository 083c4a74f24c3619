/* Every field of API.md: its spellings, its bounds and its codes. Times are test_decode_time.c's.
 */
#include "decoding.h"
#include "ip_text.h"

#define V7 "019b7ca9-8f2e-739b-aea5-966c26f8ad91" /* 2026-01-02T03:04:05.678Z */

TEST(ad_id_is_known_by_every_spelling)
{
    static const struct {
        const char *body;
        const char *ad_id;
    } rows[] = {
        {"{\"ad_id\":\"ad-001\"}", "ad-001"},
        {"{\"adId\":\"ad-001\"}", "ad-001"},
        {"{\"ad_id\":1}", "1"},
        {"{\"adId\":9223372036854775807}", "9223372036854775807"},
        {"{\"ad_id\":0}", "0"},
        {"{\"ad_id\":-0}", "0"},
        {"{\"ad_id\":-7}", "-7"},
        {"{\"ad_id\":\"a\",\"adId\":\"a\"}", "a"},
        {"{\"ad_id\":12,\"adId\":\"12\"}", "12"},
        {"{\"ad_id\":\"\\u0061d\"}", "ad"},
        {" \t\r\n{ \"ad_id\" : \"a\" } \n", "a"},
        {"{\"ad_id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
         "0123456789012345678901234567890123456789012345678901234567890123"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct decoding decoding = decode(rows[i].body);

        assert_taken(&decoding, rows[i].body);
        assert_string_equal(decoding.out.event.ad_id, rows[i].ad_id);
        assert_int_equal(decoding.out.event.ad_id_size, strlen(rows[i].ad_id));
    }
}

TEST(playback_time_is_known_by_every_spelling_and_rounded_to_milliseconds)
{
    static const struct {
        const char *pair;
        int64_t playback_ms;
    } rows[] = {
        {"\"playback_time\":12", 12000},
        {"\"video_playback_time\":12", 12000},
        {"\"videoPlaybackTime\":15.7", 15700},
        {"\"video_play_time\":30", 30000},
        {"\"playback_time\":0", 0},
        {"\"playback_time\":-0.0", 0},
        {"\"playback_time\":86400", 86400000},
        {"\"playback_time\":86400.000", 86400000},
        {"\"playback_time\":1e3", 1000000},
        {"\"playback_time\":1.5E-3", 2},
        {"\"playback_time\":0.0004", 0},
        {"\"playback_time\":0.0005", 1},
        {"\"playback_time\":10.1234567890123456789", 10123},
        {"\"playback_time\":10,\"video_play_time\":10.0", 10000},
        {"\"video_playback_time\":1.5,\"videoPlaybackTime\":1.50", 1500},
        {"\"x\":1", EVENT_PLAYBACK_ABSENT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[200];

        (void)snprintf(body, sizeof(body), "{\"ad_id\":\"a\",%s}", rows[i].pair);
        struct decoding decoding = decode(body);
        assert_taken(&decoding, body);
        assert_int_equal(decoding.out.event.playback_ms, rows[i].playback_ms);
    }
}

TEST(ip_is_known_by_every_spelling)
{
    static const struct {
        const char *pair;
        const char *ip;
    } rows[] = {
        {"\"ip\":\"203.0.113.1\"", "203.0.113.1"},
        {"\"ip_address\":\"192.168.1.1\"", "192.168.1.1"},
        {"\"ipAddress\":\"1.2.3.4\"", "1.2.3.4"},
        {"\"ip\":\"2001:DB8::1\"", "2001:db8::1"},
        {"\"ip\":\"::1\",\"ipAddress\":\"0:0:0:0:0:0:0:1\"", "::1"},
        {"\"ip\":\"1.2.3.4\",\"ip_address\":\"::ffff:1.2.3.4\"", "1.2.3.4"},
        {"\"x\":1", "198.51.100.7"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[200];
        char text[IP_TEXT_SIZE];

        (void)snprintf(body, sizeof(body), "{\"ad_id\":\"a\",%s}", rows[i].pair);
        struct decoding decoding = decode(body);
        assert_taken(&decoding, body);
        assert_string_equal(ip_text(&decoding.out.event.ip, text), rows[i].ip);
    }
}

TEST(an_address_that_is_not_trusted_is_checked_and_left_out)
{
    struct decoding decoding = a_click();
    const char *good = "{\"ad_id\":\"a\",\"ip\":\"1.2.3.4\"}";
    const char *bad = "{\"ad_id\":\"a\",\"ip\":\"999.1.1.1\"}";

    decoding.context.trust_ip = false;
    decode_bytes(&decoding, good, strlen(good));
    assert_taken(&decoding, good);
    assert_memory_equal(decoding.out.event.ip.bytes, decoding.context.peer_ip.bytes, 4);
    decode_bytes(&decoding, bad, strlen(bad));
    assert_fault(&decoding, bad, FAULT_INVALID_IP, "ip");
}

TEST(event_id_is_known_by_every_spelling_and_echoed_as_it_was_written)
{
    static const char *const names[] = {"event_id", "eventId", "click_id", "clickId"};
    uint8_t id[EVENT_ID_SIZE];

    assert_true(event_id_parse(V7, 36, id));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char body[200];

        (void)snprintf(body, sizeof(body),
                       "{\"ad_id\":\"a\",\"%s\":\"019B7CA9-8F2E-739B-AEA5-966C26F8AD91\"}",
                       names[i]);
        struct decoding decoding = decode(body);
        assert_taken(&decoding, body);
        assert_memory_equal(decoding.out.event.id, id, EVENT_ID_SIZE);
        assert_string_equal(decoding.out.client_id, "019B7CA9-8F2E-739B-AEA5-966C26F8AD91");
    }
}

TEST(two_cases_of_one_id_agree)
{
    const char *body = "{\"ad_id\":\"a\",\"event_id\":\"" V7
                       "\",\"clickId\":\"019B7CA9-8F2E-739B-AEA5-966C26F8AD91\"}";
    struct decoding decoding = decode(body);

    assert_taken(&decoding, body);
    assert_string_equal(decoding.out.client_id, V7);
}

TEST(type_is_read_only_where_the_route_leaves_it_open)
{
    for (int type = EVENT_CLICK; type < EVENT_TYPE_COUNT; type++) {
        struct decoding decoding = a_click();
        char body[200];

        (void)snprintf(body, sizeof(body), "{\"ad_id\":\"a\",\"type\":\"%s\"}",
                       event_type_names[type]);
        decode_bytes(&decoding, body, strlen(body));
        assert_taken(&decoding, body);
        assert_int_equal(decoding.out.event.type, EVENT_CLICK);

        decoding.context.type = EVENT_UNSPECIFIED;
        decode_bytes(&decoding, body, strlen(body));
        assert_taken(&decoding, body);
        assert_int_equal(decoding.out.event.type, type);
    }
    struct decoding decoding = decode("{\"ad_id\":\"a\",\"type\":null}");
    assert_true(decoding.ok);
}

TEST(a_type_that_is_due_must_be_given_and_known)
{
    static const struct {
        const char *body;
        enum fault_code code;
    } rows[] = {
        {"{\"ad_id\":\"a\"}", FAULT_MISSING_FIELD},
        {"{\"ad_id\":\"a\",\"type\":null}", FAULT_INVALID_TYPE},
        {"{\"ad_id\":\"a\",\"type\":1}", FAULT_INVALID_TYPE},
        {"{\"ad_id\":\"a\",\"type\":\"\"}", FAULT_INVALID_EVENT_TYPE},
        {"{\"ad_id\":\"a\",\"type\":\"Click\"}", FAULT_INVALID_EVENT_TYPE},
        {"{\"ad_id\":\"a\",\"type\":\"unspecified\"}", FAULT_INVALID_EVENT_TYPE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct decoding decoding = a_click();

        decoding.context.type = EVENT_UNSPECIFIED;
        decode_bytes(&decoding, rows[i].body, strlen(rows[i].body));
        assert_fault(&decoding, rows[i].body, rows[i].code, "type");
    }
}

static const struct {
    const char *pairs;
    enum fault_code code;
    const char *field;
} wrong_fields[] = {
    {"\"x\":1", FAULT_MISSING_FIELD, "ad_id"},
    {"\"ad_id\":null", FAULT_INVALID_TYPE, "ad_id"},
    {"\"ad_id\":true", FAULT_INVALID_TYPE, "ad_id"},
    {"\"ad_id\":[1]", FAULT_INVALID_TYPE, "ad_id"},
    {"\"ad_id\":{}", FAULT_INVALID_TYPE, "ad_id"},
    {"\"ad_id\":1.0", FAULT_INVALID_TYPE, "ad_id"},
    {"\"ad_id\":1e2", FAULT_INVALID_TYPE, "ad_id"},
    {"\"ad_id\":\"\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"a/b\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"*\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\">\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"a.b\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"a b\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\" a\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"\xc3\xa4\"", FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"01234567890123456789012345678901234567890123456789012345678901234\"",
     FAULT_INVALID_AD_ID, "ad_id"},
    {"\"ad_id\":\"a\",\"adId\":\"b\"", FAULT_CONFLICTING_FIELDS, "ad_id"},
    {"\"ad_id\":\"a\",\"adId\":\"A\"", FAULT_CONFLICTING_FIELDS, "ad_id"},
    {"\"ad_id\":\"a\",\"adId\":null", FAULT_INVALID_TYPE, "ad_id"},

    {"\"ad_id\":1,\"ip\":\"999.1.1.1\"", FAULT_INVALID_IP, "ip"},
    {"\"ad_id\":1,\"ip\":\"10.0.0.0/8\"", FAULT_INVALID_IP, "ip"},
    {"\"ad_id\":1,\"ip\":\"fe80::1%eth0\"", FAULT_INVALID_IP, "ip"},
    {"\"ad_id\":1,\"ipAddress\":\"\"", FAULT_INVALID_IP, "ip"},
    {"\"ad_id\":1,\"ip_address\":16909060", FAULT_INVALID_TYPE, "ip"},
    {"\"ad_id\":1,\"ip\":null", FAULT_INVALID_TYPE, "ip"},
    {"\"ad_id\":1,\"ip\":\"1.2.3.4\",\"ipAddress\":\"1.2.3.5\"", FAULT_CONFLICTING_FIELDS, "ip"},

    {"\"ad_id\":1,\"playback_time\":-1", FAULT_INVALID_PLAYBACK_TIME, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":-0.001", FAULT_INVALID_PLAYBACK_TIME, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":86401", FAULT_INVALID_PLAYBACK_TIME, "playback_time"},
    {"\"ad_id\":1,\"video_play_time\":86400.001", FAULT_INVALID_PLAYBACK_TIME, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":1e300", FAULT_INVALID_PLAYBACK_TIME, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":\"30\"", FAULT_INVALID_TYPE, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":null", FAULT_INVALID_TYPE, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":[30]", FAULT_INVALID_TYPE, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":true", FAULT_INVALID_TYPE, "playback_time"},
    {"\"ad_id\":1,\"playback_time\":1,\"video_playback_time\":2", FAULT_CONFLICTING_FIELDS,
     "playback_time"},
    {"\"ad_id\":1,\"videoPlaybackTime\":1.0001,\"video_play_time\":1.0002",
     FAULT_CONFLICTING_FIELDS, "playback_time"},

    {"\"ad_id\":1,\"event_id\":\"\"", FAULT_INVALID_EVENT_ID, "event_id"},
    {"\"ad_id\":1,\"click_id\":\"42\"", FAULT_INVALID_EVENT_ID, "event_id"},
    {"\"ad_id\":1,\"clickId\":\"{" V7 "}\"", FAULT_INVALID_EVENT_ID, "event_id"},
    {"\"ad_id\":1,\"eventId\":7", FAULT_INVALID_TYPE, "event_id"},
    {"\"ad_id\":1,\"event_id\":null", FAULT_INVALID_TYPE, "event_id"},
    {"\"ad_id\":1,\"event_id\":\"" V7 "\",\"click_id\":\"019b7ca9-8f2e-739b-aea5-966c26f8ad92\"",
     FAULT_CONFLICTING_FIELDS, "event_id"},

    {"\"ad_id\":1,\"timestamp\":1767323045", FAULT_INVALID_TYPE, "timestamp"},
    {"\"ad_id\":1,\"timestamp\":null", FAULT_INVALID_TYPE, "timestamp"},
};

TEST(a_wrong_field_is_told_by_its_code)
{
    for (size_t i = 0; i < sizeof(wrong_fields) / sizeof(wrong_fields[0]); i++) {
        char body[300];

        (void)snprintf(body, sizeof(body), "{%s}", wrong_fields[i].pairs);
        struct decoding decoding = decode(body);
        assert_fault(&decoding, body, wrong_fields[i].code, wrong_fields[i].field);
        assert_int_equal(decoding.faults.count, 1);
        assert_int_equal(fault_status(decoding.faults.rows[0].code), 422);
    }
}

TEST(every_wrong_field_is_told_in_the_order_of_the_fields)
{
    struct decoding decoding = decode("{\"event_id\":1,\"playback_time\":-1,\"ip\":\"x\","
                                      "\"timestamp\":\"now\",\"ad_id\":\"\"}");

    assert_false(decoding.ok);
    assert_int_equal(decoding.faults.count, 5);
    assert_int_equal(decoding.faults.rows[0].code, FAULT_INVALID_AD_ID);
    assert_int_equal(decoding.faults.rows[1].code, FAULT_INVALID_TIMESTAMP);
    assert_int_equal(decoding.faults.rows[2].code, FAULT_INVALID_IP);
    assert_int_equal(decoding.faults.rows[3].code, FAULT_INVALID_PLAYBACK_TIME);
    assert_int_equal(decoding.faults.rows[4].code, FAULT_INVALID_TYPE);
}

TEST(fields_that_are_not_ours_are_ignored)
{
    const char *body = "{\"ad_id\":\"a\",\"AD_ID\":7,\"session\":{\"deep\":[[[1]]]},\"ok\":true,"
                       "\"\":null,\"Ip\":\"x\",\"n\":1e300}";
    struct decoding decoding = decode(body);

    assert_taken(&decoding, body);
}

/* ---- Idempotency-Key ---- */

static struct decoding decode_with_key(const char *body, const char *key)
{
    struct decoding decoding = a_click();

    decoding.context.idempotency_key = key;
    decoding.context.idempotency_key_size = strlen(key);
    decode_bytes(&decoding, body, strlen(body));
    return decoding;
}

TEST(an_idempotency_key_stands_for_the_event_id)
{
    static const char *const keys[] = {V7, "\"" V7 "\""};
    uint8_t id[EVENT_ID_SIZE];

    assert_true(event_id_parse(V7, 36, id));
    for (size_t i = 0; i < 2; i++) {
        struct decoding decoding = decode_with_key("{\"ad_id\":1}", keys[i]);

        assert_taken(&decoding, keys[i]);
        assert_memory_equal(decoding.out.event.id, id, EVENT_ID_SIZE);
        assert_string_equal(decoding.out.client_id, V7);
    }
}

TEST(an_idempotency_key_may_repeat_the_event_id_but_not_contradict_it)
{
    const char *body = "{\"ad_id\":1,\"click_id\":\"" V7 "\"}";
    struct decoding same = decode_with_key(body, "019B7CA9-8F2E-739B-AEA5-966C26F8AD91");
    struct decoding other = decode_with_key(body, "019b7ca9-8f2e-739b-aea5-966c26f8ad92");

    assert_taken(&same, body);
    assert_string_equal(same.out.client_id, V7);
    assert_fault(&other, body, FAULT_CONFLICTING_FIELDS, "event_id");
}

TEST(an_idempotency_key_that_is_no_uuid_is_refused)
{
    static const char *const keys[] = {"", "abc", "\"\"", "\"", "\"" V7, "'" V7 "'", V7 " "};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct decoding decoding = decode_with_key("{\"ad_id\":1}", keys[i]);

        assert_fault(&decoding, keys[i], FAULT_INVALID_EVENT_ID, "event_id");
        assert_int_equal(decoding.faults.count, 1);
    }
}

TESTS(RUN(ad_id_is_known_by_every_spelling),
      RUN(playback_time_is_known_by_every_spelling_and_rounded_to_milliseconds),
      RUN(ip_is_known_by_every_spelling),
      RUN(an_address_that_is_not_trusted_is_checked_and_left_out),
      RUN(event_id_is_known_by_every_spelling_and_echoed_as_it_was_written),
      RUN(two_cases_of_one_id_agree), RUN(type_is_read_only_where_the_route_leaves_it_open),
      RUN(a_type_that_is_due_must_be_given_and_known), RUN(a_wrong_field_is_told_by_its_code),
      RUN(every_wrong_field_is_told_in_the_order_of_the_fields),
      RUN(fields_that_are_not_ours_are_ignored), RUN(an_idempotency_key_stands_for_the_event_id),
      RUN(an_idempotency_key_may_repeat_the_event_id_but_not_contradict_it),
      RUN(an_idempotency_key_that_is_no_uuid_is_refused))
