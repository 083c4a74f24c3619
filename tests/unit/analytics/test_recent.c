#include "check.h"

#include "base/auto.h"
#include "event/event.h"
#include "recent.h"

#include <string.h>

static bool add(struct recent *recent, uint64_t number)
{
    uint8_t id[EVENT_ID_SIZE] = {0};

    memcpy(id, &number, sizeof(number));
    return recent_add(recent, id, sizeof(id));
}

TEST(knows_an_id_again)
{
    AUTO(recent_free) struct recent *recent = recent_new(100, 1);

    assert_true(add(recent, 7));
    assert_false(add(recent, 7));
    assert_true(add(recent, 8));
    assert_int_equal(recent_count(recent), 2);
}

TEST(forgets_the_oldest_when_it_is_full)
{
    AUTO(recent_free) struct recent *recent = recent_new(3, 1);

    for (uint64_t i = 1; i <= 4; i++)
        assert_true(add(recent, i));

    assert_int_equal(recent_count(recent), 3);
    assert_false(add(recent, 2));
    assert_false(add(recent, 4));
    assert_true(add(recent, 1));
}

TEST(a_rollback_forgets_only_what_was_not_committed)
{
    AUTO(recent_free) struct recent *recent = recent_new(100, 1);

    assert_true(add(recent, 1));
    recent_commit(recent);
    assert_true(add(recent, 2));
    assert_true(add(recent, 3));
    recent_rollback(recent);

    assert_int_equal(recent_count(recent), 1);
    assert_false(add(recent, 1));
    assert_true(add(recent, 2));
    assert_true(add(recent, 3));
}

TEST(a_rollback_of_more_than_it_holds_leaves_it_empty)
{
    AUTO(recent_free) struct recent *recent = recent_new(4, 1);

    for (uint64_t i = 1; i <= 9; i++)
        assert_true(add(recent, i));
    recent_rollback(recent);

    assert_int_equal(recent_count(recent), 0);
    assert_true(add(recent, 9));
}

TEST(a_cleared_filter_knows_nothing)
{
    AUTO(recent_free) struct recent *recent = recent_new(10, 1);

    assert_true(add(recent, 1));
    recent_clear(recent);

    assert_true(add(recent, 1));
}

/* A plain list is the reference; the few ids make evictions and long probes common. */
enum { MODEL_MAX = 50, MODEL_STEPS = 200000, MODEL_IDS = 120 };

struct model {
    uint64_t ids[MODEL_MAX];
    size_t count, uncommitted;
};

static bool model_add(struct model *model, uint64_t id)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->ids[i] == id)
            return false;
    if (model->count == MODEL_MAX) {
        memmove(model->ids, model->ids + 1, (MODEL_MAX - 1) * sizeof(model->ids[0]));
        model->count--;
        if (model->uncommitted > model->count)
            model->uncommitted = model->count;
    }
    model->ids[model->count++] = id;
    model->uncommitted++;
    return true;
}

TEST(agrees_with_a_plain_list_over_random_operations)
{
    AUTO(recent_free) struct recent *recent = recent_new(MODEL_MAX, 42);
    struct model model = {.count = 0};
    uint64_t random = 88172645463325252ULL;

    for (int step = 0; step < MODEL_STEPS; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (random % 50 == 0) {
            recent_rollback(recent);
            model.count -= model.uncommitted;
            model.uncommitted = 0;
        } else if (random % 50 < 5) {
            recent_commit(recent);
            model.uncommitted = 0;
        } else {
            uint64_t id = (random >> 32) % MODEL_IDS;

            assert_int_equal(add(recent, id), model_add(&model, id));
        }
        assert_int_equal(recent_count(recent), model.count);
    }
}

TESTS(RUN(knows_an_id_again), RUN(forgets_the_oldest_when_it_is_full),
      RUN(a_rollback_forgets_only_what_was_not_committed),
      RUN(a_rollback_of_more_than_it_holds_leaves_it_empty), RUN(a_cleared_filter_knows_nothing),
      RUN(agrees_with_a_plain_list_over_random_operations))
