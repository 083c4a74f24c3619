#include "check.h"
#include "pace.h"

/* Transactions by INSERT until COPY is tried again, the refused one included. */
static int stay_of(struct pace *pace)
{
    int stay = 0;

    pace_refuse(pace);
    for (; !pace_may_copy(pace); stay++)
        pace_settle(pace, false);
    return stay;
}

static void copy_calmly(struct pace *pace, int transactions)
{
    for (int i = 0; i < transactions; i++)
        pace_settle(pace, true);
}

TEST(copy_comes_first)
{
    struct pace pace;

    (void)err;
    pace_init(&pace);
    assert_true(pace_may_copy(&pace));
}

TEST(each_refusal_doubles_the_stay_up_to_its_limit)
{
    struct pace pace;

    (void)err;
    pace_init(&pace);
    for (int stay = PACE_STAY_MIN; stay < PACE_STAY_MAX; stay *= 2)
        assert_int_equal(stay_of(&pace), stay);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stay_of(&pace), PACE_STAY_MAX);
}

TEST(a_calm_stretch_brings_the_short_stay_back)
{
    struct pace pace;

    (void)err;
    pace_init(&pace);
    assert_int_equal(stay_of(&pace), PACE_STAY_MIN);
    copy_calmly(&pace, PACE_CALM - 1);
    assert_int_equal(stay_of(&pace), PACE_STAY_MIN * 2);
    copy_calmly(&pace, PACE_CALM - 1);
    assert_int_equal(stay_of(&pace), PACE_STAY_MIN * 4);
    copy_calmly(&pace, PACE_CALM);
    assert_int_equal(stay_of(&pace), PACE_STAY_MIN);
}

TEST(inserting_by_choice_changes_nothing)
{
    struct pace pace;

    (void)err;
    pace_init(&pace);
    for (int i = 0; i < 3; i++)
        pace_settle(&pace, false);
    assert_true(pace_may_copy(&pace));
    assert_int_equal(stay_of(&pace), PACE_STAY_MIN);
}

TESTS(RUN(copy_comes_first), RUN(each_refusal_doubles_the_stay_up_to_its_limit),
      RUN(a_calm_stretch_brings_the_short_stay_back), RUN(inserting_by_choice_changes_nothing))
