#include "check.h"

#include "event/event.h"

#include <stdio.h>
#include <string.h>

TEST(finds_every_type_by_its_name_and_no_other)
{
    for (int type = EVENT_CLICK; type < EVENT_TYPE_COUNT; type++) {
        const char *name = event_type_names[type];

        assert_int_equal(event_type_find(name, strlen(name)), type);
        assert_int_equal(event_type_find(name, strlen(name) - 1), EVENT_UNSPECIFIED);
    }
    assert_int_equal(event_type_find("unspecified", 11), EVENT_UNSPECIFIED);
    assert_int_equal(event_type_find("Click", 5), EVENT_UNSPECIFIED);
    assert_int_equal(event_type_find("", 0), EVENT_UNSPECIFIED);
    assert_null(event_type_names[EVENT_TYPE_COUNT]);
    assert_null(event_reason_names[EVENT_REASON_COUNT]);
}

TEST(an_ad_id_is_1_to_64_letters_digits_underscores_and_hyphens)
{
    const char *longest = "abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789";

    for (size_t size = 1; size <= EVENT_AD_ID_MAX; size++)
        assert_true(event_ad_id_is_valid(longest, size));
    assert_false(event_ad_id_is_valid("", 0));
    assert_false(event_ad_id_is_valid(
        "abcdefghijklmnopqrstuvwxyz_ABCDEFGHIJKLMNOPQRSTUVWXYZ-01234567890", EVENT_AD_ID_MAX + 1));
}

TEST(every_other_byte_is_refused_in_an_ad_id)
{
    int allowed = 0;

    for (int byte = 0; byte < 256; byte++) {
        char text[3] = {'a', (char)byte, 'b'};

        allowed += event_ad_id_is_valid(text, sizeof(text));
    }
    assert_int_equal(allowed, 26 + 26 + 10 + 2);
}

TEST(the_partition_of_an_ad_never_changes)
{
    /* From an independent XXH3_64bits: python's xxhash.xxh3_64_intdigest(b"ad-001"). */
    assert_int_equal(event_partition("ad-001", 6, 1), 0);
    assert_int_equal(event_partition("ad-001", 6, 4096), 494);
    assert_int_equal(event_partition("1", 1, 4096), 344);
}

TEST(partitions_are_used_evenly)
{
    int counts[4] = {0};

    for (int i = 0; i < 4000; i++) {
        char ad_id[16];
        int size = snprintf(ad_id, sizeof(ad_id), "ad-%d", i);

        counts[event_partition(ad_id, (size_t)size, 4)]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range((uintmax_t)counts[i], 850, 1150);
}

TESTS(RUN(finds_every_type_by_its_name_and_no_other),
      RUN(an_ad_id_is_1_to_64_letters_digits_underscores_and_hyphens),
      RUN(every_other_byte_is_refused_in_an_ad_id), RUN(the_partition_of_an_ad_never_changes),
      RUN(partitions_are_used_evenly))
