#include "base/auto.h"
#include "base/time_text.h"
#include "check.h"
#include "judge.h"
#include "record_fixture.h"

static int64_t at(const char *text)
{
    int64_t at_ms = 0;

    assert_true(time_text_parse(text, strlen(text), &at_ms));
    return at_ms;
}

static struct judged judge_at(const char *click_time, const char *now, struct error *err)
{
    AUTO(ordinals_free) struct ordinals *ordinals = ordinals_new();
    struct judge judge = {.ordinals = ordinals, .retention_days = 90};
    struct record record = good_record();
    struct item item = {.place = "row 1", .record = &record};
    struct judged judged;

    record.values[CLICK_TIME] = value_of(click_time);
    assert_ok(judge_item(&judge, &item, at(now), &judged, err));
    return judged;
}

TEST(a_day_is_kept_when_it_is_later_than_today_minus_the_retention)
{
    const char *now = "2026-04-01T12:00:00Z";

    assert_int_equal(judge_at("2026-01-02T00:00:00Z", now, err).verdict, VERDICT_GOOD);
    assert_int_equal(judge_at("2026-01-01T23:59:59.999Z", now, err).verdict, VERDICT_OLD);
    assert_int_equal(judge_kept_from_ms(at(now), 90), at("2026-01-02T00:00:00Z"));
}

TEST(a_click_of_the_future_is_bad)
{
    const char *now = "2026-04-01T12:00:00Z";

    assert_int_equal(judge_at("2026-04-01T12:04:59Z", now, err).verdict, VERDICT_GOOD);
    assert_int_equal(judge_at("2026-04-01T12:05:01Z", now, err).verdict, VERDICT_BAD);
}

TEST(a_record_that_cannot_be_read_is_bad_with_its_reason)
{
    struct judge judge = {.ordinals = NULL, .retention_days = 90};
    struct item item = {.place = "line 1", .why = "not JSON"};
    struct judged judged;

    assert_ok(judge_item(&judge, &item, 0, &judged, err));

    assert_int_equal(judged.verdict, VERDICT_BAD);
    assert_string_equal(judged.why.text, "not JSON");
}

TESTS(RUN(a_day_is_kept_when_it_is_later_than_today_minus_the_retention),
      RUN(a_click_of_the_future_is_bad), RUN(a_record_that_cannot_be_read_is_bad_with_its_reason))
