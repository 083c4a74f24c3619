#include "check.h"
#include "fold.h"

#include <stdio.h>

static struct fold_cell key_of(const char *ad_id, int64_t quarter_at_ms)
{
    struct fold_cell key = {.quarter_at_ms = quarter_at_ms, .type = EVENT_CLICK};

    key.ad_id_size = (uint8_t)snprintf(key.ad_id, sizeof(key.ad_id), "%s", ad_id);
    return key;
}

TEST(equal_keys_become_one_sum_with_the_highest_sequence)
{
    struct fold fold;
    struct fold_cell key = key_of("a", 900000);

    fold_init(&fold);
    fold_add(&fold, &key, 7, 1);
    fold_add(&fold, &key, 5, 2);

    assert_int_equal(fold.count, 1);
    assert_int_equal(fold.cells[0].count, 3);
    assert_int_equal(fold.cells[0].last_seq, 7);
    fold_free(&fold);
}

TEST(thousands_of_keys_are_kept_apart_and_come_out_sorted)
{
    struct fold fold;

    fold_init(&fold);
    for (int i = 4999; i >= 0; i--) {
        char ad_id[16];
        struct fold_cell key;

        snprintf(ad_id, sizeof(ad_id), "ad-%04d", i % 2500);
        key = key_of(ad_id, i < 2500 ? 0 : 900000);
        fold_add(&fold, &key, 1, 1);
        fold_add(&fold, &key, 1, 1);
    }
    fold_sort(&fold);

    assert_int_equal(fold.count, 5000);
    assert_false(fold.failed);
    assert_string_equal(fold.cells[0].ad_id, "ad-0000");
    assert_int_equal(fold.cells[0].quarter_at_ms, 0);
    assert_string_equal(fold.cells[4999].ad_id, "ad-2499");
    for (size_t i = 0; i < fold.count; i++)
        assert_int_equal(fold.cells[i].count, 2);
    fold_free(&fold);
}

TEST(a_reset_fold_begins_anew)
{
    struct fold fold;
    struct fold_cell key = key_of("a", 0);

    fold_init(&fold);
    fold_add(&fold, &key, 1, 1);
    fold_reset(&fold);
    fold_add(&fold, &key, 1, 1);

    assert_int_equal(fold.count, 1);
    assert_int_equal(fold.cells[0].count, 1);
    fold_free(&fold);
}

TEST(a_quarter_begins_at_or_before_its_instants)
{
    assert_int_equal(fold_quarter_of(900000), 900000);
    assert_int_equal(fold_quarter_of(1799999), 900000);
    assert_int_equal(fold_quarter_of(-1), -900000);
}

TESTS(RUN(equal_keys_become_one_sum_with_the_highest_sequence),
      RUN(thousands_of_keys_are_kept_apart_and_come_out_sorted), RUN(a_reset_fold_begins_anew),
      RUN(a_quarter_begins_at_or_before_its_instants))
