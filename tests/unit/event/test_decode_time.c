/* Timestamps, the times that ids carry, and what either does to an event's id and flags. */
#include "decoding.h"

#include "base/time_text.h"

#define FOREIGN "f47ac10b-58cc-4372-a567-0e02b2c3d479"

enum { AHEAD_MS = 5 * 60 * 1000, BEHIND_MS = 24 * 60 * 60 * 1000 };

static struct decoding decode_at(const char *timestamp)
{
    char body[200];

    (void)snprintf(body, sizeof(body), "{\"ad_id\":1,\"timestamp\":\"%s\"}", timestamp);
    return decode(body);
}

static struct decoding decode_at_ms(int64_t at_ms)
{
    char text[TIME_TEXT_SIZE];

    time_text_format(at_ms, text);
    return decode_at(text);
}

TEST(without_timestamp_and_id_the_event_is_filed_at_its_receipt)
{
    struct decoding decoding = decode("{\"ad_id\":1}");
    char text[EVENT_ID_TEXT_SIZE];

    assert_true(decoding.ok);
    assert_int_equal(decoding.out.event.event_at_ms, received_at_ms);
    assert_int_equal(decoding.out.event.received_at_ms, received_at_ms);
    assert_int_equal(decoding.out.event.flags, 0);
    assert_int_equal(event_id_version(decoding.out.event.id), 7);
    assert_int_equal(event_id_at_ms(decoding.out.event.id), received_at_ms);
    event_id_format(decoding.out.event.id, text);
    assert_string_equal(decoding.out.client_id, text);
    assert_true(decoding.out.event.visitor == 0);
    assert_int_equal(decoding.out.event.reason, EVENT_VALID);
}

TEST(a_timestamp_is_the_clients_time_and_the_id_is_still_filed_at_the_receipt)
{
    struct decoding decoding = decode_at("2026-01-02T04:04:00+01:00");

    assert_true(decoding.ok);
    assert_int_equal(decoding.out.event.event_at_ms, received_at_ms - 5678);
    assert_int_equal(decoding.out.event.received_at_ms, received_at_ms);
    assert_int_equal(decoding.out.event.flags, EVENT_CLIENT_TIME);
    assert_int_equal(event_id_at_ms(decoding.out.event.id), received_at_ms);
}

TEST(a_timestamp_out_of_bounds_is_flagged_and_not_refused)
{
    static const struct {
        int64_t shift_ms;
        uint32_t flags;
    } rows[] = {
        {AHEAD_MS, EVENT_CLIENT_TIME},
        {AHEAD_MS + 1, EVENT_CLIENT_TIME | EVENT_CLOCK_SKEW},
        {-BEHIND_MS, EVENT_CLIENT_TIME},
        {-BEHIND_MS - 1, EVENT_CLIENT_TIME | EVENT_CLOCK_SKEW},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct decoding decoding = decode_at_ms(received_at_ms + rows[i].shift_ms);

        assert_true(decoding.ok);
        assert_int_equal(decoding.out.event.flags, rows[i].flags);
        assert_int_equal(decoding.out.event.event_at_ms, received_at_ms + rows[i].shift_ms);
    }
}

TEST(the_years_1970_to_9999_are_recorded)
{
    struct decoding first = decode_at("1970-01-01T00:00:00Z");
    struct decoding last = decode_at("9999-12-31T23:59:59.999Z");

    assert_true(first.ok);
    assert_int_equal(first.out.event.event_at_ms, 0);
    assert_true(last.ok);
    assert_int_equal(last.out.event.event_at_ms, EVENT_AT_MS_MAX);
}

TEST(what_is_no_time_is_refused)
{
    static const char *const bad[] = {
        "",
        "now",
        "infinity",
        "2026-02-30T00:00:00Z",
        "2026-01-02T03:04:05",
        "2026-01-02",
        "2026-01-02 03:04:05",
        "1767323045",
        "2026-13-01T00:00:00Z",
        "2026-01-02T25:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "1970-01-01T00:00:00+00:01",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z ",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct decoding decoding = decode_at(bad[i]);

        assert_fault(&decoding, bad[i], FAULT_INVALID_TIMESTAMP, "timestamp");
    }
}

static struct decoding decode_id(const uint8_t id[EVENT_ID_SIZE])
{
    char text[EVENT_ID_TEXT_SIZE];
    char body[200];

    event_id_format(id, text);
    (void)snprintf(body, sizeof(body), "{\"ad_id\":1,\"event_id\":\"%s\"}", text);
    return decode(body);
}

TEST(the_time_of_an_id_must_be_near)
{
    static const struct {
        int64_t shift_ms;
        bool ok;
    } rows[] = {
        {0, true},          {AHEAD_MS, true},        {AHEAD_MS + 1, false},
        {-BEHIND_MS, true}, {-BEHIND_MS - 1, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t id[EVENT_ID_SIZE];

        for (unsigned version = 7; version <= 8; version++) {
            event_id_make(received_at_ms + rows[i].shift_ms, id);
            id[6] = (uint8_t)((id[6] & 0x0f) | version << 4);
            struct decoding decoding = decode_id(id);
            assert_int_equal(decoding.ok, rows[i].ok);
            if (rows[i].ok)
                assert_memory_equal(decoding.out.event.id, id, EVENT_ID_SIZE);
            else
                assert_fault(&decoding, "id", FAULT_INVALID_EVENT_ID, "event_id");
        }
    }
}

TEST(an_id_with_a_time_needs_no_timestamp_and_leaves_it_alone)
{
    struct decoding decoding = decode("{\"ad_id\":1,\"timestamp\":\"2020-01-01T00:00:00Z\","
                                      "\"event_id\":\"019b7ca9-8f2e-739b-aea5-966c26f8ad91\"}");

    assert_true(decoding.ok);
    assert_int_equal(decoding.out.event.flags, EVENT_CLIENT_TIME | EVENT_CLOCK_SKEW);
    assert_int_equal(event_id_at_ms(decoding.out.event.id), received_at_ms);
}

static struct decoding decode_foreign(const char *timestamp)
{
    char body[200];

    (void)snprintf(body, sizeof(body),
                   "{\"ad_id\":1,\"event_id\":\"" FOREIGN "\",\"timestamp\":\"%s\"}", timestamp);
    return decode(body);
}

TEST(a_foreign_id_is_filed_by_its_timestamp_so_that_a_retry_is_the_same_event)
{
    struct decoding first = decode_foreign("2026-01-02T03:00:00Z");
    struct decoding retry = decode_foreign("2026-01-02T03:00:00Z");
    struct decoding other = decode_foreign("2026-01-02T03:00:00.001Z");

    assert_true(first.ok && retry.ok && other.ok);
    assert_int_equal(event_id_version(first.out.event.id), 8);
    assert_int_equal(event_id_at_ms(first.out.event.id), first.out.event.event_at_ms);
    assert_string_equal(first.out.client_id, FOREIGN);
    assert_memory_equal(first.out.event.id, retry.out.event.id, EVENT_ID_SIZE);
    assert_memory_not_equal(first.out.event.id, other.out.event.id, EVENT_ID_SIZE);
}

TEST(a_foreign_id_needs_a_timestamp_that_is_near)
{
    struct decoding without = decode("{\"ad_id\":1,\"event_id\":\"" FOREIGN "\"}");
    struct decoding far = decode_foreign("2020-01-01T00:00:00Z");
    struct decoding wrong = decode_foreign("never");

    assert_fault(&without, "without", FAULT_INVALID_EVENT_ID, "event_id");
    assert_non_null(strstr(without.faults.rows[0].detail, "timestamp"));
    assert_fault(&far, "far", FAULT_INVALID_EVENT_ID, "event_id");
    assert_fault(&wrong, "wrong", FAULT_INVALID_TIMESTAMP, "timestamp");
    assert_int_equal(wrong.faults.count, 1);
}

TESTS(RUN(without_timestamp_and_id_the_event_is_filed_at_its_receipt),
      RUN(a_timestamp_is_the_clients_time_and_the_id_is_still_filed_at_the_receipt),
      RUN(a_timestamp_out_of_bounds_is_flagged_and_not_refused),
      RUN(the_years_1970_to_9999_are_recorded), RUN(what_is_no_time_is_refused),
      RUN(the_time_of_an_id_must_be_near),
      RUN(an_id_with_a_time_needs_no_timestamp_and_leaves_it_alone),
      RUN(a_foreign_id_is_filed_by_its_timestamp_so_that_a_retry_is_the_same_event),
      RUN(a_foreign_id_needs_a_timestamp_that_is_near))
