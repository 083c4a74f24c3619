#include "check.h"
#include "temp_tree.h"

#include "base/auto.h"
#include "zone_rule.h"
#include "zones.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOUR_S = 3600 };

static const struct zone *zone_named(struct zones *zones, const char *name)
{
    struct error err = {0};
    const struct zone *zone = zones_find(zones, name, strlen(name), &err);

    if (zone == NULL)
        fail_msg("%s", err.text);
    return zone;
}

static int count_hour(const struct zone_day *day, int hour)
{
    int count = 0;

    for (int i = 0; i < day->count; i++)
        count += day->hours[i] == hour;
    return count;
}

TEST(a_day_in_utc_has_four_quarters_in_each_hour)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    struct zone_day day;

    zone_find_day(zone_named(zones, "UTC"), 1767225600 + 5 * HOUR_S, &day); /* 2026-01-01 */

    assert_int_equal(day.first_quarter, 1767225600 / 900);
    assert_int_equal(day.count, 96);
    for (int hour = 0; hour < 24; hour++)
        assert_int_equal(count_hour(&day, hour), 4);
}

TEST(an_offset_of_three_quarters_of_an_hour_is_exact)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    struct zone_day day;

    assert_int_equal(zone_offset_s(zone_named(zones, "Asia/Kolkata"), 1767225600), 19800);
    assert_int_equal(zone_offset_s(zone_named(zones, "Asia/Kathmandu"), 1767225600), 20700);
    zone_find_day(zone_named(zones, "Asia/Kathmandu"), 1767225600, &day);

    assert_int_equal(day.first_quarter * 900, 1767225600 - 20700);
    assert_int_equal(day.count, 96);
}

TEST(the_day_the_clocks_go_forward_has_23_hours_and_no_second_one)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    struct zone_day day;

    /* 2026-03-08, New York: 02:00 EST becomes 03:00 EDT, at 07:00 UTC. */
    zone_find_day(zone_named(zones, "America/New_York"), 1772985600, &day);

    assert_int_equal(day.first_quarter * 900, 1772946000); /* 05:00 UTC */
    assert_int_equal(day.count, 92);
    assert_int_equal(count_hour(&day, 1), 4);
    assert_int_equal(count_hour(&day, 2), 0);
    assert_int_equal(count_hour(&day, 3), 4);
}

TEST(the_day_the_clocks_go_back_has_25_hours_and_one_twice)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    struct zone_day day;

    /* 2026-11-01, New York: 02:00 EDT becomes 01:00 EST, at 06:00 UTC. */
    zone_find_day(zone_named(zones, "America/New_York"), 1793556000, &day);

    assert_int_equal(day.first_quarter * 900, 1793505600); /* 04:00 UTC */
    assert_int_equal(day.count, 100);
    assert_int_equal(count_hour(&day, 1), 8);
    assert_int_equal(count_hour(&day, 2), 4);
}

TEST(the_rule_holds_for_the_years_after_the_table)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    const struct zone *york = zone_named(zones, "America/New_York");
    const struct zone *sydney = zone_named(zones, "Australia/Sydney");

    assert_int_equal(zone_offset_s(york, 2530767600 - 1), -5 * HOUR_S);
    assert_int_equal(zone_offset_s(york, 2530767600), -4 * HOUR_S); /* 2050-03-13 07:00 */
    assert_int_equal(zone_offset_s(york, 2556057600), -5 * HOUR_S); /* 2050-12-31 */
    assert_int_equal(zone_offset_s(sydney, 2539987200), 10 * HOUR_S);
    assert_int_equal(zone_offset_s(sydney, 2556057600), 11 * HOUR_S);
}

TEST(rules_are_read_in_every_form)
{
    struct zone_rule rule;
    static const char *const wrong[] = {"",
                                        "E5",
                                        "EST",
                                        "EST5EDT",
                                        "EST5EDT,M13.1.0,M1.1.0",
                                        "EST5EDT,M3.6.0,M11.1.0",
                                        "EST5EDT,M3.2.7,M11.1.0",
                                        "EST5EDT,M3.2.0",
                                        "EST5EDT,M3.2.0,M11.1.0x",
                                        "<+05"};

    assert_true(zone_rule_parse("<+0545>-5:45", 12, &rule));
    assert_int_equal(zone_rule_offset_s(&rule, 0), 20700);
    assert_true(zone_rule_parse("IST-1GMT0,M10.5.0,M3.5.0/1", 26, &rule)); /* Dublin */
    assert_int_equal(rule.standard_s, HOUR_S);
    assert_int_equal(rule.summer_s, 0);
    assert_int_equal(zone_rule_offset_s(&rule, 1768435200), 0);      /* January */
    assert_int_equal(zone_rule_offset_s(&rule, 1784073600), HOUR_S); /* July */
    assert_true(zone_rule_parse("AAA3BBB,J60/-2,300/50:30:10", 27, &rule));
    assert_int_equal(rule.start.time_s, -2 * HOUR_S);
    assert_int_equal(rule.end.time_s, 50 * HOUR_S + 30 * 60 + 10);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(zone_rule_parse(wrong[i], strlen(wrong[i]), &rule));
}

TEST(a_name_never_leaves_the_directory)
{
    static const char *const wrong[] = {"",      "/etc/passwd", "..",     "../UTC", "Asia//Kolkata",
                                        "Asia/", "a.b",         "Asia b", "Zone\\1"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(zone_name_is_valid(wrong[i], strlen(wrong[i])));
    assert_true(zone_name_is_valid("America/Argentina/Buenos_Aires", 30));
    assert_true(zone_name_is_valid("Etc/GMT+5", 9));
}

TEST(a_zone_is_read_at_the_start_and_never_again)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    struct temp_dir dir = temp_dir_new();
    char berlin[600], late[600];

    assert_in_range(zones_count(zones), 300, ZONES_MAX - 1);
    zones_free(&zones);
    (void)snprintf(berlin, sizeof(berlin), "%s/Berlin", dir.path);
    (void)snprintf(late, sizeof(late), "%s/Late", dir.path);
    assert_int_equal(symlink(ZONE_DIRECTORY "/Europe/Berlin", berlin), 0);
    zones = zones_new(dir.path);
    assert_int_equal(unlink(berlin), 0);
    assert_int_equal(symlink(ZONE_DIRECTORY "/Europe/Berlin", late), 0);
    assert_int_equal(zone_offset_s(zone_named(zones, "Berlin"), 1767225600), HOUR_S);
    assert_fails(ERROR_INVALID, zones_find(zones, "Late", 4, err) != NULL);
    temp_tree_remove(&dir);
}

TEST(a_directory_that_is_not_there_has_no_zones)
{
    AUTO(zones_free) struct zones *zones = zones_new("/nonexistent");

    assert_int_equal(zones_count(zones), 0);
    assert_fails(ERROR_INVALID, zones_find(zones, "UTC", 3, err) != NULL);
}

TEST(a_directory_and_a_missing_file_are_no_zone)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);

    assert_fails(ERROR_INVALID, zones_find(zones, "America", 7, err) != NULL);
    assert_fails(ERROR_INVALID, zones_find(zones, "Mars/Olympus", 12, err) != NULL);
}

TEST(bytes_that_are_no_table_are_refused)
{
    uint8_t bytes[200] = "TZif2";

    for (size_t size = 0; size < sizeof(bytes); size++)
        assert_fails(ERROR_INVALID, zone_parse(bytes, size, err) != NULL);
    memset(bytes + 5, 0xff, sizeof(bytes) - 5);
    assert_fails(ERROR_INVALID, zone_parse(bytes, sizeof(bytes), err) != NULL);
}

TEST(more_zones_than_are_kept_are_still_found)
{
    AUTO(zones_free) struct zones *zones = zones_new(ZONE_DIRECTORY);
    char name[16];

    for (int round = 0; round < 10; round++) {
        for (int i = 0; i <= 12; i++) {
            (void)snprintf(name, sizeof(name), "Etc/GMT+%d", i);
            assert_int_equal(zone_offset_s(zone_named(zones, name), 0), -i * HOUR_S);
        }
        for (int i = 0; i <= 14; i++) {
            (void)snprintf(name, sizeof(name), "Etc/GMT-%d", i);
            assert_int_equal(zone_offset_s(zone_named(zones, name), 0), i * HOUR_S);
        }
    }
}

TESTS(RUN(a_day_in_utc_has_four_quarters_in_each_hour),
      RUN(an_offset_of_three_quarters_of_an_hour_is_exact),
      RUN(the_day_the_clocks_go_forward_has_23_hours_and_no_second_one),
      RUN(the_day_the_clocks_go_back_has_25_hours_and_one_twice),
      RUN(the_rule_holds_for_the_years_after_the_table), RUN(rules_are_read_in_every_form),
      RUN(a_name_never_leaves_the_directory), RUN(a_zone_is_read_at_the_start_and_never_again),
      RUN(a_directory_that_is_not_there_has_no_zones),
      RUN(a_directory_and_a_missing_file_are_no_zone), RUN(bytes_that_are_no_table_are_refused),
      RUN(more_zones_than_are_kept_are_still_found))
