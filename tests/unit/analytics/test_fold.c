#include "check.h"

#include "base/auto.h"
#include "fold.h"

#include <stdio.h>
#include <string.h>

static struct event click(const char *ad_id, int64_t at_ms, uint64_t visitor)
{
    struct event event = {.type = EVENT_CLICK, .received_at_ms = at_ms, .visitor = visitor};

    event.ad_id_size = (uint8_t)strlen(ad_id);
    memcpy(event.ad_id, ad_id, (size_t)event.ad_id_size + 1);
    return event;
}

static void add(struct fold *fold, struct event event, uint64_t seq)
{
    assert_true(fold_add(fold, &event, seq));
}

TEST(counts_the_events_of_one_second_as_one_number)
{
    AUTO(fold_free) struct fold *fold = fold_new(100);

    for (int i = 0; i < 10; i++)
        add(fold, click("a", 60000 + i * 100, 0), 1);
    add(fold, click("a", 61000, 0), 1);
    fold_sort(fold);

    assert_int_equal(fold_counts(fold)->count, 2);
    assert_int_equal(fold_counts(fold)->items[0].value, 10);
    assert_int_equal(fold_counts(fold)->items[0].b, 60);
    assert_int_equal(fold_counts(fold)->items[1].value, 1);
}

TEST(keeps_series_apart_by_type_and_reason)
{
    AUTO(fold_free) struct fold *fold = fold_new(100);
    struct event event = click("a", 0, 0);

    add(fold, event, 1);
    event.reason = EVENT_CRAWLER;
    add(fold, event, 1);
    event.type = EVENT_IMPRESSION;
    event.reason = EVENT_VALID;
    add(fold, event, 1);
    fold_sort(fold);

    assert_int_equal(fold_counts(fold)->count, 3);
    assert_int_equal(fold_type(fold_counts(fold)->items[2].a), EVENT_IMPRESSION);
    assert_int_equal(fold_reason(fold_counts(fold)->items[1].a), EVENT_CRAWLER);
}

TEST(a_visitor_is_one_within_a_minute_and_two_across_its_edge)
{
    AUTO(fold_free) struct fold *fold = fold_new(100);

    add(fold, click("a", 59000, 77), 1);
    add(fold, click("a", 59999, 77), 1);
    add(fold, click("a", 60000, 77), 1);
    fold_sort(fold);

    assert_int_equal(fold_visitors(fold)->count, 2);
    assert_int_equal(fold_visitor_minute(fold_visitors(fold)->items[1].a), 1);
}

TEST(only_valid_clicks_of_known_visitors_make_visitors)
{
    AUTO(fold_free) struct fold *fold = fold_new(100);
    struct event event = click("a", 0, 77);

    event.reason = EVENT_CRAWLER;
    add(fold, event, 1);
    event.reason = EVENT_VALID;
    event.type = EVENT_IMPRESSION;
    add(fold, event, 1);
    add(fold, click("a", 0, 0), 1);

    assert_int_equal(fold_visitors(fold)->count, 0);
}

TEST(the_last_sequence_of_a_quarter_hour_is_the_highest)
{
    AUTO(fold_free) struct fold *fold = fold_new(100);

    add(fold, click("a", 0, 0), 5);
    add(fold, click("a", 899999, 0), 6);
    add(fold, click("a", 900000, 0), 7);
    add(fold, click("a", 1, 0), 8);
    fold_sort(fold);

    assert_int_equal(fold_lasts(fold)->count, 2);
    assert_int_equal(fold_lasts(fold)->items[0].value, 8);
    assert_int_equal(fold_lasts(fold)->items[1].value, 7);
}

TEST(is_full_at_its_limit_and_empty_after_a_reset)
{
    AUTO(fold_free) struct fold *fold = fold_new(3);

    add(fold, click("a", 0, 1), 1);
    assert_false(fold_is_full(fold));
    add(fold, click("b", 0, 0), 1);
    assert_true(fold_is_full(fold));
    fold_reset(fold);

    assert_true(fold_is_empty(fold));
    assert_false(fold_is_full(fold));
}

TEST(tells_many_ads_apart_while_it_grows)
{
    AUTO(fold_free) struct fold *fold = fold_new(FOLD_ENTRIES_LIMIT);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3000; i++) {
            char ad_id[24];

            snprintf(ad_id, sizeof(ad_id), "ad-%d", i);
            add(fold, click(ad_id, 1000, 0), 1);
        }
    }
    fold_sort(fold);

    assert_int_equal(fold_counts(fold)->count, 3000);
    for (size_t i = 0; i < 3000; i++) {
        char ad_id[24];

        snprintf(ad_id, sizeof(ad_id), "ad-%zu", i);
        assert_string_equal(fold_ad_id(fold, fold_ad(fold_counts(fold)->items[i].a)), ad_id);
        assert_int_equal(fold_counts(fold)->items[i].value, 2);
    }
}

TESTS(RUN(counts_the_events_of_one_second_as_one_number),
      RUN(keeps_series_apart_by_type_and_reason),
      RUN(a_visitor_is_one_within_a_minute_and_two_across_its_edge),
      RUN(only_valid_clicks_of_known_visitors_make_visitors),
      RUN(the_last_sequence_of_a_quarter_hour_is_the_highest),
      RUN(is_full_at_its_limit_and_empty_after_a_reset), RUN(tells_many_ads_apart_while_it_grows))
