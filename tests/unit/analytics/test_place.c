#include "check.h"

#include "place.h"

struct row {
    const char *what;
    struct place place;
    enum place_verdict verdict;
};

TEST(judges_each_way_in_which_the_position_may_fit_or_not)
{
    const struct row rows[] = {
        {"Redis is empty", {false, false, 0, 50, 0, 1, 100}, PLACE_REBUILD},
        {"nothing has ever been counted", {false, false, 0, 0, 0, 1, 0}, PLACE_REBUILD},
        {"a rebuild was cut off", {true, true, 50, 50, 0, 1, 100}, PLACE_REBUILD},
        {"in the middle", {true, false, 50, 40, 0, 1, 100}, PLACE_GOOD},
        {"at the end", {true, false, 100, 100, 0, 1, 100}, PLACE_GOOD},
        {"trimmed right up to it", {true, false, 50, 60, 0, 51, 100}, PLACE_GOOD},
        {"trimmed beyond it", {true, false, 50, 60, 0, 52, 100}, PLACE_REBUILD},
        {"trimmed beyond both alike", {true, false, 50, 50, 0, 52, 100}, PLACE_GOOD},
        {"the stream is empty", {true, false, 100, 100, 0, 101, 100}, PLACE_GOOD},
        {"a stream made anew", {true, false, 50, 50, 0, 1000, 999}, PLACE_GOOD},
        {"a stream made anew, more in PostgreSQL",
         {true, false, 50, 60, 0, 1000, 999},
         PLACE_REBUILD},
        {"a stream that lost its end", {true, false, 50, 30, 0, 1, 40}, PLACE_REBUILD},
        {"a stream that lost its end, for both",
         {true, false, 50, 50, 0, 1, 40},
         PLACE_STREAM_BEHIND},
        {"unread messages were skipped", {true, false, 70, 60, 55, 1, 100}, PLACE_REBUILD},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (place_judge(&rows[i].place) != rows[i].verdict)
            fail_msg("%s: %s", rows[i].what, place_verdict_name(place_judge(&rows[i].place)));
}

TEST(a_position_is_beyond_the_end_only_of_a_stream_that_is_the_same)
{
    assert_true(place_is_beyond_end(&(struct place){true, false, 50, 50, 0, 1, 40}));
    assert_true(place_is_beyond_end(&(struct place){true, false, 50, 30, 0, 1, 40}));
    assert_false(place_is_beyond_end(&(struct place){true, false, 40, 40, 0, 1, 40}));
    assert_false(place_is_beyond_end(&(struct place){true, false, 100, 100, 0, 101, 100}));
    assert_false(place_is_beyond_end(&(struct place){true, false, 50, 50, 0, 1000, 999}));
    assert_false(place_is_beyond_end(&(struct place){true, true, 50, 50, 0, 1, 40}));
    assert_false(place_is_beyond_end(&(struct place){false, false, 0, 50, 0, 1, 40}));
}

TEST(counting_never_goes_on_before_the_first_message_that_can_come)
{
    assert_int_equal(place_after_rebuild(0, 1), 0);
    assert_int_equal(place_after_rebuild(0, 1000), 999);
    assert_int_equal(place_after_rebuild(999, 1000), 999);
    assert_int_equal(place_after_rebuild(1500, 1000), 1500);
}

TESTS(RUN(judges_each_way_in_which_the_position_may_fit_or_not),
      RUN(a_position_is_beyond_the_end_only_of_a_stream_that_is_the_same),
      RUN(counting_never_goes_on_before_the_first_message_that_can_come))
