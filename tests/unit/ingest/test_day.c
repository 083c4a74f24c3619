#include "check.h"
#include "day.h"

enum { DAY = 20778 }; /* 2026-11-21 */

TEST(a_day_ends_where_the_next_begins)
{
    assert_int_equal(day_of_ms((int64_t)DAY * DAY_MS), DAY);
    assert_int_equal(day_of_ms((int64_t)(DAY + 1) * DAY_MS - 1), DAY);
    assert_int_equal(day_of_ms(-1), -1);
}

TEST(a_day_has_its_name_its_text_and_its_lowest_uuid)
{
    char name[DAY_NAME_SIZE];
    char text[DAY_TEXT_SIZE];
    char uuid[DAY_UUID_SIZE];

    day_format_name(DAY, name);
    day_format_text(DAY, text);
    day_format_uuid(DAY, uuid);

    assert_string_equal(name, "20261121");
    assert_string_equal(text, "2026-11-21");
    assert_string_equal(uuid, "01a1fb67-1800-0000-0000-000000000000");
}

TEST(only_a_table_of_a_day_gives_a_day)
{
    int64_t day = 0;

    assert_true(day_parse_table("events_20261121", "events_", &day));
    assert_int_equal(day, DAY);
    assert_false(day_parse_table("events_2026112", "events_", &day));
    assert_false(day_parse_table("events_20261121x", "events_", &day));
    assert_false(day_parse_table("events_20261341", "events_", &day));
    assert_false(day_parse_table("batches_20261121", "events_", &day));
}

TEST(days_are_accepted_from_the_retention_to_two_days_ahead)
{
    int64_t now_ms = (int64_t)DAY * DAY_MS + 3600000;

    assert_true(day_is_accepted(now_ms, now_ms, 90));
    assert_true(day_is_accepted(now_ms - 89LL * DAY_MS, now_ms, 90));
    assert_false(day_is_accepted(now_ms - 90LL * DAY_MS, now_ms, 90));
    assert_true(day_is_accepted(now_ms + 2LL * DAY_MS, now_ms, 90));
    assert_false(day_is_accepted(now_ms + 3LL * DAY_MS, now_ms, 90));
}

TESTS(RUN(a_day_ends_where_the_next_begins), RUN(a_day_has_its_name_its_text_and_its_lowest_uuid),
      RUN(only_a_table_of_a_day_gives_a_day),
      RUN(days_are_accepted_from_the_retention_to_two_days_ahead))
