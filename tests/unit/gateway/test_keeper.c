#include "check.h"

#include "base/auto.h"
#include "fake_keep_line.h"
#include "keeper.h"

#include <string.h>

/* A batch that comes at NOW_MS has until DEADLINE_MS; the spool has half of that. */
enum { NOW_MS = 5000, SPOOL_UNTIL_MS = NOW_MS + 300, DEADLINE_MS = NOW_MS + 600 };

static const uint8_t gateway_id[16] = {7};

/* A keeper over two lines, and what it told its owner. */
struct desk {
    struct keep_line spool, inbox;
    struct keeper *keeper;
    int woken, settled, released;
    enum batch_outcome outcome;
};

static void on_wake(void *ctx)
{
    struct desk *desk = ctx;

    desk->woken++;
}

static void on_settled(void *ctx, struct batch *batch, enum batch_outcome outcome)
{
    struct desk *desk = ctx;

    (void)batch;
    assert_int_equal(desk->released, desk->settled); /* one batch at a time in these tests */
    desk->settled++;
    desk->outcome = outcome;
}

static void on_released(void *ctx, struct batch *batch)
{
    struct desk *desk = ctx;

    (void)batch;
    desk->released++;
    assert_int_equal(desk->released, desk->settled);
}

static void open_desk(struct desk *desk)
{
    const struct keeper_options options = {
        .gateway_id = gateway_id,
        .thread = 4,
        .lines = {[KEEP_SPOOL] = &desk->spool, [KEEP_INBOX] = &desk->inbox},
        .wake = on_wake,
        .ctx = desk,
    };
    struct error err;

    desk->keeper = keeper_new(&options, &err);
    assert_non_null(desk->keeper);
    keeper_on(desk->keeper, &(struct keeper_events){desk, on_settled, on_released});
}

static void close_desk(struct desk *desk)
{
    keeper_close(&desk->keeper);
}

static struct batch numbered_batch(void)
{
    static uint8_t bytes[10];

    return (struct batch){.bytes = bytes,
                          .size_bytes = sizeof(bytes),
                          .partition = 2,
                          .count = 3,
                          .number = 41,
                          .attempt_k = 1,
                          .deadline_ms = DEADLINE_MS};
}

static void assert_verdict(const struct desk *desk, enum batch_outcome outcome)
{
    assert_int_equal(desk->settled, 1);
    assert_int_equal(desk->outcome, outcome);
}

TEST(what_the_spool_has_committed_is_kept)
{
    AUTO(close_desk) struct desk desk = {0};
    struct batch batch = numbered_batch();
    const struct kept_batch *kept;

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);
    kept = &desk.spool.jobs[0]->batch;
    assert_memory_equal(kept->gateway_id, gateway_id, 16);
    assert_int_equal(kept->thread, 4);
    assert_int_equal(kept->partition, 2);
    assert_int_equal(kept->batch_no, 41);
    assert_int_equal(kept->attempt_k, 1);
    assert_int_equal(kept->events, 3);
    assert_ptr_equal(kept->bytes, batch.bytes);
    assert_int_equal(desk.spool.jobs[0]->deadline_ms, SPOOL_UNTIL_MS);

    fake_keep_line_answer(&desk.spool, ERROR_NONE);
    assert_int_equal(desk.woken, 1);
    assert_int_equal(desk.settled, 0); /* the verdict is the loop's to tell */
    keeper_turn(desk.keeper, NOW_MS + 5);
    assert_verdict(&desk, BATCH_KEPT);
    assert_int_equal(desk.released, 1);
    assert_int_equal(desk.inbox.count, 0);
}

TEST(what_the_spool_cannot_take_goes_to_the_inbox_at_once)
{
    static const enum error_kind kinds[] = {ERROR_LIMIT, ERROR_UNAVAILABLE};

    for (size_t i = 0; i < 4; i++) {
        AUTO(close_desk) struct desk desk = {0};
        struct batch batch = numbered_batch();

        desk.spool.refuse_with = i < 2 ? kinds[i] : ERROR_NONE;
        open_desk(&desk);
        keeper_keep(desk.keeper, &batch, NOW_MS);
        if (i >= 2)
            fake_keep_line_answer(&desk.spool, kinds[i - 2]);
        keeper_turn(desk.keeper, NOW_MS + 5);
        assert_int_equal(desk.inbox.count, 1);
        assert_int_equal(desk.inbox.jobs[0]->deadline_ms, DEADLINE_MS);
        fake_keep_line_answer(&desk.inbox, ERROR_NONE);
        keeper_turn(desk.keeper, NOW_MS + 10);
        assert_verdict(&desk, BATCH_KEPT);
    }
}

TEST(when_both_refuse_nothing_is_promised)
{
    AUTO(close_desk)
    struct desk desk = {.spool.refuse_with = ERROR_LIMIT, .inbox.refuse_with = ERROR_UNAVAILABLE};
    struct batch batch = numbered_batch();

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);

    assert_verdict(&desk, BATCH_UNAVAILABLE);
    assert_int_equal(desk.released, 1);
}

TEST(a_spool_that_does_not_begin_in_time_gives_the_batch_back)
{
    AUTO(close_desk) struct desk desk = {0};
    struct batch batch = numbered_batch();

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);
    keeper_tick(desk.keeper, SPOOL_UNTIL_MS - 1);
    assert_int_equal(desk.inbox.count, 0);
    keeper_tick(desk.keeper, SPOOL_UNTIL_MS);

    assert_int_equal(desk.spool.withdrawn, 1);
    assert_int_equal(desk.inbox.count, 1);
    fake_keep_line_answer(&desk.inbox, ERROR_NONE);
    keeper_turn(desk.keeper, SPOOL_UNTIL_MS + 1);
    assert_verdict(&desk, BATCH_KEPT);
}

TEST(a_spool_that_hangs_does_not_stop_the_inbox_and_keeps_the_memory)
{
    AUTO(close_desk) struct desk desk = {.spool.has_begun = true};
    struct batch batch = numbered_batch();

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);
    keeper_tick(desk.keeper, SPOOL_UNTIL_MS);
    fake_keep_line_answer(&desk.inbox, ERROR_NONE);
    keeper_turn(desk.keeper, SPOOL_UNTIL_MS + 1);
    assert_verdict(&desk, BATCH_KEPT);
    assert_int_equal(desk.released, 0); /* the spool still reads the bytes */

    fake_keep_line_answer(&desk.spool, ERROR_UNAVAILABLE);
    keeper_turn(desk.keeper, DEADLINE_MS + 5000);
    assert_verdict(&desk, BATCH_KEPT);
    assert_int_equal(desk.released, 1);
}

TEST(a_hanging_spool_may_still_keep_what_the_inbox_refused)
{
    AUTO(close_desk)
    struct desk desk = {.spool.has_begun = true, .inbox.refuse_with = ERROR_UNAVAILABLE};
    struct batch batch = numbered_batch();

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);
    keeper_tick(desk.keeper, SPOOL_UNTIL_MS);
    keeper_tick(desk.keeper, DEADLINE_MS - 1);
    assert_int_equal(desk.settled, 0);
    fake_keep_line_answer(&desk.spool, ERROR_NONE);
    keeper_turn(desk.keeper, DEADLINE_MS - 1);

    assert_verdict(&desk, BATCH_KEPT);
}

TEST(a_verdict_comes_by_the_deadline_and_is_never_changed)
{
    AUTO(close_desk) struct desk desk = {.spool.has_begun = true, .inbox.has_begun = true};
    struct batch batch = numbered_batch();

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);
    keeper_tick(desk.keeper, SPOOL_UNTIL_MS);
    keeper_tick(desk.keeper, DEADLINE_MS - 1);
    assert_int_equal(desk.settled, 0);
    keeper_tick(desk.keeper, DEADLINE_MS);
    assert_verdict(&desk, BATCH_UNAVAILABLE);

    fake_keep_line_answer(&desk.spool, ERROR_NONE); /* kept, but promised to nobody */
    keeper_turn(desk.keeper, DEADLINE_MS + 1);
    assert_int_equal(desk.released, 0);
    fake_keep_line_answer(&desk.inbox, ERROR_UNAVAILABLE);
    keeper_turn(desk.keeper, DEADLINE_MS + 2);
    assert_verdict(&desk, BATCH_UNAVAILABLE);
    assert_int_equal(desk.released, 1);
}

TEST(one_of_many_leaves_without_disturbing_the_others)
{
    AUTO(close_desk) struct desk desk = {0};
    struct batch batches[3] = {numbered_batch(), numbered_batch(), numbered_batch()};

    open_desk(&desk);
    for (size_t i = 0; i < 3; i++)
        keeper_keep(desk.keeper, &batches[i], NOW_MS);
    for (size_t answered = 1; answered <= 3; answered++) {
        /* the middle one of the list first */
        struct keep_job *job = desk.spool.jobs[answered == 1 ? 1 : 0];

        desk.spool.jobs[answered == 1 ? 1 : 0] = desk.spool.jobs[0];
        desk.spool.jobs[0] = job;
        fake_keep_line_answer(&desk.spool, ERROR_NONE);
        keeper_turn(desk.keeper, NOW_MS + 1);
        assert_int_equal(desk.released, answered);
    }
}

TEST(closing_settles_what_nobody_has_begun)
{
    struct desk desk = {0};
    struct batch batch = numbered_batch();

    open_desk(&desk);
    keeper_keep(desk.keeper, &batch, NOW_MS);
    keeper_close(&desk.keeper);

    assert_null(desk.keeper);
    assert_verdict(&desk, BATCH_UNAVAILABLE);
    assert_int_equal(desk.released, 1);
}

TESTS(RUN(what_the_spool_has_committed_is_kept),
      RUN(what_the_spool_cannot_take_goes_to_the_inbox_at_once),
      RUN(when_both_refuse_nothing_is_promised),
      RUN(a_spool_that_does_not_begin_in_time_gives_the_batch_back),
      RUN(a_spool_that_hangs_does_not_stop_the_inbox_and_keeps_the_memory),
      RUN(a_hanging_spool_may_still_keep_what_the_inbox_refused),
      RUN(a_verdict_comes_by_the_deadline_and_is_never_changed),
      RUN(one_of_many_leaves_without_disturbing_the_others),
      RUN(closing_settles_what_nobody_has_begun))
