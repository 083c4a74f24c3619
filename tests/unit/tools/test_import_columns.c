#include "base/auto.h"
#include "check.h"
#include "columns.h"

#include <string.h>

static const struct column snake[] = {
    {"id", "integer"},
    {"ad_id", "integer"},
    {"clicked_at", "timestamp without time zone"},
    {"created_at", "timestamp with time zone"},
    {"ip_address", "inet"},
    {"referer", "text"},
};

enum { SNAKE_COLUMNS = sizeof(snake) / sizeof(snake[0]) };

static struct column_plan snake_plan(struct error *err)
{
    struct column_plan plan;

    assert_ok(columns_plan(&click_fields, "clicks", snake, SNAKE_COLUMNS, &plan, err));
    return plan;
}

TEST(takes_the_best_spelling_of_each_field)
{
    struct column_plan plan = snake_plan(err);

    assert_string_equal(plan.of[CLICK_ID]->name, "id");
    assert_string_equal(plan.of[CLICK_TIME]->name, "clicked_at");
    assert_string_equal(plan.of[CLICK_IP]->name, "ip_address");
    assert_null(plan.of[CLICK_PLAYBACK]);
}

TEST(selects_every_field_as_text_in_its_order)
{
    struct column_plan plan = snake_plan(err);
    AUTO(text_free) struct text sql;

    text_init(&sql, 4096);
    columns_add_select(&plan, &sql);

    assert_string_equal(
        text_str(&sql),
        "SELECT \"id\"::text, \"ad_id\"::text, "
        "to_char(\"clicked_at\", 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), host(\"ip_address\"), NULL, "
        "NULL FROM clicks");
}

TEST(says_what_is_taken_what_is_missing_and_what_is_left)
{
    struct column_plan plan = snake_plan(err);
    AUTO(text_free) struct text words;

    text_init(&words, 4096);
    columns_add_words(&plan, SNAKE_COLUMNS, &words);

    assert_string_equal(text_str(&words),
                        "table clicks: id <- id (integer), ad_id <- ad_id (integer), timestamp <- "
                        "clicked_at (timestamp without time zone), ip <- ip_address (inet); no "
                        "column for playback_time, user_agent; not used: created_at, referer");
}

TEST(quotes_a_name_so_that_it_cannot_become_sql)
{
    static const struct column columns[] = {{"adId", "uuid"}, {"time\"; DROP", "bigint"}};
    struct column_plan plan = {.fields = &click_fields, .table = "clicks"};
    AUTO(text_free) struct text sql;

    plan.of[CLICK_AD_ID] = &columns[0];
    plan.of[CLICK_TIME] = &columns[1];
    text_init(&sql, 4096);
    columns_add_select(&plan, &sql);

    assert_non_null(strstr(text_str(&sql), "\"adId\"::text"));
    assert_non_null(strstr(text_str(&sql), "\"time\"\"; DROP\"::text"));
}

TEST(refuses_a_table_without_what_a_click_needs)
{
    struct column_plan plan;

    assert_fails(ERROR_INVALID, columns_plan(&click_fields, "clicks", snake, 1, &plan, err));
    assert_non_null(strstr(err->text, "no column for ad_id (looked for: adid)"));
    assert_fails(ERROR_INVALID, columns_plan(&click_fields, "clicks", snake, 2, &plan, err));
    assert_non_null(strstr(err->text, "no column for timestamp"));
}

TEST(refuses_a_type_that_cannot_hold_the_field)
{
    static const struct column columns[] = {{"ad_id", "text"}, {"clicked_at", "boolean"}};
    struct column_plan plan;

    assert_fails(ERROR_INVALID, columns_plan(&click_fields, "clicks", columns, 2, &plan, err));
    assert_string_equal(err->text, "column clicks.clicked_at has type boolean, which cannot be "
                                   "taken for timestamp");
}

TESTS(RUN(takes_the_best_spelling_of_each_field), RUN(selects_every_field_as_text_in_its_order),
      RUN(says_what_is_taken_what_is_missing_and_what_is_left),
      RUN(quotes_a_name_so_that_it_cannot_become_sql),
      RUN(refuses_a_table_without_what_a_click_needs),
      RUN(refuses_a_type_that_cannot_hold_the_field))
