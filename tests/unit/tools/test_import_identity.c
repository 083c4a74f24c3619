#include "base/auto.h"
#include "check.h"
#include "event/event_id.h"
#include "identity.h"
#include "record_fixture.h"

#include <stdio.h>

enum { DAY_MS = 24 * 3600 * 1000 };

/* The id that a click with this source id gets; given anew for each call. */
struct id {
    uint8_t bytes[EVENT_ID_SIZE];
};

static struct id id_of(struct ordinals *ordinals, const struct record *record, struct error *err)
{
    struct click click;
    struct id id;

    assert_ok(click_from_record(record, &click, err));
    assert_ok(identity_give(ordinals, &click, err));
    memcpy(id.bytes, click.event.id, sizeof(id.bytes));
    return id;
}

static struct record record_called(const char *id)
{
    struct record record = good_record();

    record.values[CLICK_ID] = value_of(id);
    return record;
}

static bool is_same(struct id one, struct id other)
{
    return memcmp(one.bytes, other.bytes, sizeof(one.bytes)) == 0;
}

TEST(an_id_is_the_same_in_every_run_and_carries_the_clicks_time)
{
    static const char *const ids[] = {"17", "9a1b6b9e-58f7-4c9c-8d44-0a63f0a4a111", "c-4711", NULL};

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        AUTO(ordinals_free) struct ordinals *first_run = ordinals_new();
        AUTO(ordinals_free) struct ordinals *second_run = ordinals_new();
        struct record record = record_called(ids[i]);
        struct id id = id_of(first_run, &record, err);

        assert_true(is_same(id, id_of(second_run, &record, err)));
        assert_int_equal(event_id_version(id.bytes), 8);
        assert_int_equal(event_id_at_ms(id.bytes), INT64_C(1767323045678));
    }
}

TEST(a_random_uuid_becomes_what_the_gateway_makes_of_it)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    const char *text = "9a1b6b9e-58f7-4c9c-8d44-0a63f0a4a111";
    struct record record = record_called(text);
    uint8_t foreign[EVENT_ID_SIZE];
    struct id expected;

    assert_true(event_id_parse(text, strlen(text), foreign));
    event_id_from_foreign(foreign, INT64_C(1767323045678), expected.bytes);

    assert_true(is_same(id_of(ordinals, &record, err), expected));
}

TEST(a_uuid_that_carries_the_clicks_time_is_taken_as_it_stands)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    struct id near, far;
    char text[37];
    struct record record;

    event_id_make(INT64_C(1767323045678) + 1000, near.bytes);
    event_id_format(near.bytes, text);
    record = record_called(text);
    assert_true(is_same(id_of(ordinals, &record, err), near));

    event_id_make(INT64_C(1767323045678) + 2 * (int64_t)DAY_MS, far.bytes);
    event_id_format(far.bytes, text);
    assert_false(is_same(id_of(ordinals, &record, err), far));
}

TEST(equal_keys_of_different_ads_or_times_are_different_clicks)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    struct record one = record_called("1");
    struct record other_ad = one;
    struct record other_time = one;

    other_ad.values[CLICK_AD_ID] = value_of("ad-002");
    other_time.values[CLICK_TIME] = value_of("2026-01-02T03:04:05.679Z");

    assert_false(is_same(id_of(ordinals, &one, err), id_of(ordinals, &other_ad, err)));
    assert_false(is_same(id_of(ordinals, &one, err), id_of(ordinals, &other_time, err)));
}

TEST(an_id_of_zero_is_no_id)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    static const char *const ids[] = {"0", "", "00000000-0000-0000-0000-000000000000"};
    struct record record = good_record();
    struct id expected = id_of(ordinals, &record, err);

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        record = record_called(ids[i]);
        ordinals_reset(ordinals);
        assert_true(is_same(id_of(ordinals, &record, err), expected));
    }
}

TEST(identical_records_without_an_id_are_clicks_of_their_own)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    struct record record = good_record();
    struct id first = id_of(ordinals, &record, err);
    struct id second = id_of(ordinals, &record, err);

    assert_false(is_same(first, second));
    ordinals_reset(ordinals);
    assert_true(is_same(first, id_of(ordinals, &record, err)));
    assert_true(is_same(second, id_of(ordinals, &record, err)));
}

TEST(records_without_an_id_differ_by_any_field)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    static const struct {
        enum click_field field;
        const char *text;
    } changes[] = {{CLICK_AD_ID, "ad-002"},
                   {CLICK_TIME, "2026-01-02T03:04:05.679Z"},
                   {CLICK_IP, "192.0.2.1"},
                   {CLICK_PLAYBACK, "1"},
                   {CLICK_USER_AGENT, "Mozilla"}};
    struct record record = good_record();
    struct id plain = id_of(ordinals, &record, err);

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        record = good_record();
        record.values[changes[i].field] = value_of(changes[i].text);
        assert_false(is_same(plain, id_of(ordinals, &record, err)));
    }
}

TEST(counts_many_different_records)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    struct record record = good_record();
    char agent[16];
    struct id first, last, again;

    for (int i = 0; i < 5000; i++) {
        snprintf(agent, sizeof(agent), "agent %d", i);
        record.values[CLICK_USER_AGENT] = value_of(agent);
        last = id_of(ordinals, &record, err);
        if (i == 0)
            first = last;
    }
    again = id_of(ordinals, &record, err); /* the last record's second copy */
    assert_false(is_same(last, again));
    assert_false(is_same(first, last));
}

TESTS(RUN(an_id_is_the_same_in_every_run_and_carries_the_clicks_time),
      RUN(a_random_uuid_becomes_what_the_gateway_makes_of_it),
      RUN(a_uuid_that_carries_the_clicks_time_is_taken_as_it_stands),
      RUN(equal_keys_of_different_ads_or_times_are_different_clicks), RUN(an_id_of_zero_is_no_id),
      RUN(identical_records_without_an_id_are_clicks_of_their_own),
      RUN(records_without_an_id_differ_by_any_field), RUN(counts_many_different_records))
