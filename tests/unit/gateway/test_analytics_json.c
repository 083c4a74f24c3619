#include "check.h"

#include "analytics_json.h"
#include "base/auto.h"
#include "board.h"

#include <jansson.h>
#include <string.h>

static void close_json(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static struct ad_numbers some_numbers(void)
{
    struct ad_numbers numbers = {.total_clicks = 100, .clicks = 10, .uniques = 7};

    numbers.invalid[EVENT_CRAWLER] = 3;
    numbers.invalid[EVENT_DOUBLE_CLICK] = 2;
    numbers.events[EVENT_IMPRESSION] = 30;
    numbers.events[EVENT_COMPLETE] = 4;
    numbers.hours[9] = 5;
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++)
        numbers.windows[i] = (int64_t)i + 1;
    return numbers;
}

static const struct reading_meta meta = {
    .frame = "1h", .source = "redis", .as_of_ms = 1700000000123, .lag_ms = 2600};

static json_t *parsed(const struct text *text)
{
    json_error_t why;
    json_t *root = json_loads(text_str(text), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

    if (root == NULL)
        fail_msg("%s in %s", why.text, text_str(text));
    return root;
}

static json_int_t number(json_t *root, const char *name)
{
    json_t *value = json_object_get(root, name);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

TEST(one_ad_has_every_field_of_the_api)
{
    AUTO(text_free) struct text text;
    AUTO(close_json) json_t *root = NULL;
    struct ad_numbers numbers = some_numbers();

    text_init(&text, 10000);
    analytics_json_ad(&text, "ad-1", &numbers, &meta);
    root = parsed(&text);

    assert_string_equal(json_string_value(json_object_get(root, "ad_id")), "ad-1");
    assert_string_equal(json_string_value(json_object_get(root, "timeframe")), "1h");
    assert_int_equal(number(root, "total_clicks"), 100);
    assert_int_equal(number(root, "clicks"), 10);
    assert_int_equal(number(root, "gross_clicks"), 15);
    assert_int_equal(number(root, "unique_clicks"), 7);
    assert_int_equal(number(root, "impressions"), 30);
    assert_int_equal(number(json_object_get(root, "invalid_clicks"), "crawler"), 3);
    assert_int_equal(number(json_object_get(root, "time_frames"), "last_7_days"), 6);
    assert_int_equal(number(json_object_get(root, "hourly_clicks"), "09"), 5);
    assert_int_equal(json_object_size(json_object_get(root, "hourly_clicks")), 24);
    assert_int_equal(number(json_object_get(root, "video"), "complete"), 4);
    assert_int_equal(number(root, "lag_seconds"), 2);
    assert_string_equal(json_string_value(json_object_get(root, "as_of")),
                        "2023-11-14T22:13:20.123Z");
    assert_true(json_is_false(json_object_get(root, "stale")));
    assert_non_null(strstr(text_str(&text), "\"ctr\":0.333333"));
    assert_int_equal(json_object_size(root), 17);
}

TEST(ctr_is_null_without_impressions_and_uniques_are_when_unknown)
{
    AUTO(text_free) struct text text;
    AUTO(close_json) json_t *root = NULL;
    struct ad_numbers numbers = {.clicks = 1, .uniques = -1};

    text_init(&text, 10000);
    analytics_json_ad(&text, "ad-1", &numbers, &meta);
    root = parsed(&text);

    assert_true(json_is_null(json_object_get(root, "ctr")));
    assert_true(json_is_null(json_object_get(root, "unique_clicks")));
}

TEST(the_earlier_shapes_have_numbers_for_numeric_ids_and_zero_for_no_ctr)
{
    AUTO(text_free) struct text text;
    struct ad_numbers numbers = {.clicks = 150};
    struct board_row rows[] = {{"1", numbers}, {"02", numbers}, {"ad-3", numbers}};
    struct board_page page = {.rows = rows, .count = 3, .left = 3, .row_count = 3};

    text_init(&text, 10000);
    legacy_json_list(&text, &page);
    assert_string_equal(text_str(&text), "[{\"ad_id\":1,\"clicks\":150,\"ctr\":0},"
                                         "{\"ad_id\":\"02\",\"clicks\":150,\"ctr\":0},"
                                         "{\"ad_id\":\"ad-3\",\"clicks\":150,\"ctr\":0}]");
    text_reset(&text);
    legacy_json_map(&text, &page);
    assert_string_equal(text_str(&text), "{\"1\":150,\"02\":150,\"ad-3\":150}");
    page.count = 0;
    text_reset(&text);
    legacy_json_map(&text, &page);
    assert_string_equal(text_str(&text), "{}");
}

TEST(the_camel_shape_counts_every_recorded_click_of_the_timeframe)
{
    AUTO(text_free) struct text text;
    AUTO(close_json) json_t *root = NULL;
    struct ad_numbers numbers = some_numbers();

    text_init(&text, 10000);
    legacy_json_camel(&text, &numbers);
    root = parsed(&text);

    assert_int_equal(number(root, "totalClicks"), 15);
    assert_int_equal(number(root, "uniqueClicks"), 7);
    assert_int_equal(number(json_object_get(root, "hourlyClicks"), "09"), 5);
    assert_int_equal(json_object_size(root), 5);
}

static struct board_row row(const char *id, int64_t clicks)
{
    return (struct board_row){id, {.clicks = clicks}};
}

TEST(a_board_is_sorted_by_clicks_and_then_by_id)
{
    struct board_row rows[] = {row("b", 5), row("d", 9), row("a", 5), row("c", 0)};

    board_sort(rows, 4);

    assert_string_equal(rows[0].id, "d");
    assert_string_equal(rows[1].id, "a");
    assert_string_equal(rows[2].id, "b");
    assert_string_equal(rows[3].id, "c");
}

/* Following next_cursor shows each row once. */
TEST(pages_follow_each_other_without_a_gap)
{
    struct board_row rows[] = {row("b", 5), row("d", 9), row("a", 5), row("c", 0), row("e", 0)};
    struct board_cursor cursor = {.is_set = false};
    size_t seen = 0;

    board_sort(rows, 5);
    for (int pages = 0; pages < 3; pages++) {
        struct board_page page;
        char text[SPEC_CURSOR_MAX];

        board_find_page(rows, 5, &cursor, 2, &page);
        assert_ptr_equal(page.rows, rows + seen);
        assert_int_equal(page.left, 5 - seen);
        seen += page.count;
        board_cursor_format(page.rows[page.count - 1].numbers.clicks, page.rows[page.count - 1].id,
                            text);
        assert_true(board_cursor_parse(text, &cursor));
    }
    assert_int_equal(seen, 5);
}

TEST(a_board_is_one_json_object_with_a_cursor_to_its_next_page)
{
    AUTO(text_free) struct text text;
    AUTO(close_json) json_t *root = NULL;
    struct board_row rows[] = {row("b", 5), row("a", 4)};
    struct ad_numbers totals = {.clicks = 9};
    struct board_page page = {rows, 1, 2, 2, &totals};

    text_init(&text, 10000);
    analytics_json_board(&text, &page, &meta);
    root = parsed(&text);

    assert_int_equal(json_array_size(json_object_get(root, "ads")), 1);
    assert_int_equal(number(root, "count"), 2);
    assert_int_equal(number(json_object_get(root, "totals"), "clicks"), 9);
    assert_string_equal(json_string_value(json_object_get(root, "next_cursor")), "5.b");
}

TESTS(RUN(one_ad_has_every_field_of_the_api),
      RUN(ctr_is_null_without_impressions_and_uniques_are_when_unknown),
      RUN(the_earlier_shapes_have_numbers_for_numeric_ids_and_zero_for_no_ctr),
      RUN(the_camel_shape_counts_every_recorded_click_of_the_timeframe),
      RUN(a_board_is_sorted_by_clicks_and_then_by_id), RUN(pages_follow_each_other_without_a_gap),
      RUN(a_board_is_one_json_object_with_a_cursor_to_its_next_page))
