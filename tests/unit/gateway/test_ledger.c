#include "check.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

static struct ledger *new_ledger(void)
{
    struct ledger *ledger = ledger_new();

    assert_non_null(ledger);
    return ledger;
}

static struct codec_header open_number(struct ledger *ledger, uint32_t events)
{
    struct codec_header header = {0};

    ledger_open_number(ledger, events, true, &header);
    return header;
}

static void assert_range(const struct codec_ranges *ranges, size_t index, uint64_t first,
                         uint64_t last, uint64_t events)
{
    assert_true(index < ranges->count);
    assert_int_equal(ranges->rows[index].first, first);
    assert_int_equal(ranges->rows[index].last, last);
    assert_int_equal(ranges->rows[index].events, events);
}

TEST(numbers_are_dense_and_count_as_settled_in_their_order)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();

    assert_int_equal(open_number(ledger, 3).batch_no, 1);
    assert_int_equal(open_number(ledger, 4).batch_no, 2);
    ledger_settle(ledger, 2, LEDGER_STORED);
    assert_int_equal(open_number(ledger, 5).settled_below, 1);
    ledger_settle(ledger, 1, LEDGER_STORED);

    struct codec_header header = open_number(ledger, 1);

    assert_int_equal(header.batch_no, 4);
    assert_int_equal(header.settled_below, 3);
    assert_int_equal(header.accepted, 7);
    assert_int_equal(header.spooled.count + header.abandoned.count, 0);
}

TEST(a_range_is_told_until_a_batch_that_told_it_is_stored)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();

    for (uint32_t i = 0; i < 3; i++)
        (void)open_number(ledger, 10);
    ledger_settle(ledger, 1, LEDGER_SPOOLED);
    ledger_settle(ledger, 2, LEDGER_SPOOLED);
    ledger_settle(ledger, 3, LEDGER_ABANDONED);
    for (uint64_t number = 4; number <= 5; number++) {
        struct codec_header header = open_number(ledger, 1);

        assert_int_equal(header.settled_below, 4);
        assert_int_equal(header.accepted, 20);
        assert_range(&header.spooled, 0, 1, 2, 20);
        assert_range(&header.abandoned, 0, 3, 3, 10);
    }
    ledger_settle(ledger, 5, LEDGER_STORED);

    assert_int_equal(ledger_ranges(ledger), 0);
    assert_int_equal(open_number(ledger, 1).spooled.count, 0);
}

TEST(a_range_that_is_being_told_does_not_grow)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();
    struct codec_header header;

    (void)open_number(ledger, 1);
    ledger_settle(ledger, 1, LEDGER_SPOOLED);
    (void)open_number(ledger, 1); /* 2 tells 1, and is under way */
    (void)open_number(ledger, 1);
    ledger_settle(ledger, 3, LEDGER_SPOOLED);
    (void)open_number(ledger, 1);
    ledger_settle(ledger, 2, LEDGER_STORED); /* removes 1, must not remove 3 */
    ledger_settle(ledger, 4, LEDGER_SPOOLED);

    header = open_number(ledger, 1);
    assert_int_equal(header.spooled.count, 1);
    assert_range(&header.spooled, 0, 3, 4, 2);
}

TEST(what_was_told_in_vain_grows_again)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();

    (void)open_number(ledger, 1);
    ledger_settle(ledger, 1, LEDGER_ABANDONED);
    for (uint64_t number = 2; number <= 1000; number++) {
        assert_int_equal(open_number(ledger, 0).batch_no, number);
        ledger_settle(ledger, number, LEDGER_ABANDONED);
    }

    assert_int_equal(ledger_ranges(ledger), 1);
    struct codec_header header = open_number(ledger, 0);
    assert_range(&header.abandoned, 0, 1, 1000, 1);
}

TEST(what_was_told_in_vain_may_be_told_within_a_longer_range)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();
    struct codec_header header;

    (void)open_number(ledger, 1);
    (void)open_number(ledger, 2);
    ledger_settle(ledger, 2, LEDGER_ABANDONED);
    header = open_number(ledger, 4); /* is abandoned, and reaches the stream all the same */
    assert_range(&header.abandoned, 0, 2, 2, 2);
    ledger_settle(ledger, 3, LEDGER_ABANDONED);
    ledger_settle(ledger, 1, LEDGER_ABANDONED);

    header = open_number(ledger, 8);
    assert_int_equal(header.abandoned.count, 1);
    assert_range(&header.abandoned, 0, 1, 3, 7);
}

/* 1, 3, 5 ... are spooled, what is between them is stored by headers that tell nothing. */
static void make_holes(struct ledger *ledger, size_t holes)
{
    for (size_t i = 0; i < holes; i++) {
        struct codec_header header = {0};

        ledger_open_number(ledger, 1, false, &header);
        ledger_settle(ledger, header.batch_no, LEDGER_SPOOLED);
        ledger_open_number(ledger, 1, false, &header);
        ledger_settle(ledger, header.batch_no, LEDGER_STORED);
    }
}

TEST(a_range_that_finds_no_place_in_the_header_holds_settled_below_back)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();
    struct codec_header header;

    make_holes(ledger, CODEC_RANGES_MAX + 2);
    header = open_number(ledger, 0);
    assert_int_equal(header.spooled.count, CODEC_RANGES_MAX);
    assert_range(&header.spooled, 0, 1, 1, 1);
    assert_int_equal(header.settled_below, 2 * CODEC_RANGES_MAX + 1);
    assert_int_equal(header.accepted, 2 * CODEC_RANGES_MAX);
    ledger_settle(ledger, header.batch_no, LEDGER_STORED);

    header = open_number(ledger, 0);
    assert_int_equal(header.spooled.count, 2);
    assert_int_equal(header.settled_below, header.batch_no);
    assert_int_equal(header.accepted, 2 * (CODEC_RANGES_MAX + 2));
}

TEST(too_many_ranges_stop_events_but_not_the_heartbeat_that_tells_them)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();
    size_t limit = LEDGER_RANGES_MAX - LEDGER_RANGES_SPARE;

    make_holes(ledger, limit);
    assert_false(ledger_has_room(ledger, false));
    for (size_t failures = 0; failures < 1000; failures++) {
        assert_true(ledger_has_room(ledger, true));
        ledger_settle(ledger, open_number(ledger, 0).batch_no, LEDGER_ABANDONED);
    }
    ledger_settle(ledger, open_number(ledger, 0).batch_no, LEDGER_STORED);
    assert_true(ledger_has_room(ledger, false));
}

TEST(an_open_number_stops_the_lane_when_the_window_is_full)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();

    (void)open_number(ledger, 1);
    for (uint64_t number = 2; number <= LEDGER_WINDOW; number++) {
        assert_true(ledger_has_room(ledger, false));
        ledger_settle(ledger, open_number(ledger, 1).batch_no, LEDGER_STORED);
    }
    assert_false(ledger_has_room(ledger, true));
    ledger_settle(ledger, 1, LEDGER_STORED);
    assert_true(ledger_has_room(ledger, false));
    assert_int_equal(open_number(ledger, 1).settled_below, LEDGER_WINDOW + 1);
}

TEST(there_is_news_until_the_stream_has_been_told_and_a_heartbeat_is_none)
{
    AUTO(ledger_free) struct ledger *ledger = new_ledger();

    assert_false(ledger_has_news(ledger));
    ledger_settle(ledger, open_number(ledger, 1).batch_no, LEDGER_STORED);
    assert_true(ledger_has_news(ledger)); /* nobody was told that 1 is settled */
    ledger_settle(ledger, open_number(ledger, 0).batch_no, LEDGER_STORED);
    assert_false(ledger_has_news(ledger));
    ledger_settle(ledger, open_number(ledger, 0).batch_no, LEDGER_ABANDONED);
    assert_true(ledger_has_news(ledger));
    ledger_settle(ledger, open_number(ledger, 0).batch_no, LEDGER_STORED);
    assert_false(ledger_has_news(ledger));
}

/* ---- random schedules against a naive model ---- */

enum { STEPS = 1500, NUMBERS_MAX = 2 * STEPS, SCHEDULES = 150 };

struct fact {
    struct codec_header header;
    uint32_t events;
    enum ledger_fate fate; /* as the ledger was told */
    bool is_for_stream, is_on_stream;
};

struct model {
    struct ledger *ledger;
    struct random random;
    struct fact facts[NUMBERS_MAX + 1]; /* [number] */
    uint64_t last;
    /* What a reader of the stream so far knows. */
    uint64_t settled_below;
    bool is_spooled[NUMBERS_MAX + 1], is_abandoned[NUMBERS_MAX + 1];
    uint64_t spooled_up_to[NUMBERS_MAX + 1], abandoned_up_to[NUMBERS_MAX + 1]; /* [first] */
};

static void check_header(const struct model *model, const struct codec_header *header)
{
    uint64_t accepted = 0;

    assert_int_equal(header->batch_no, model->last);
    if (model->last > 1)
        assert_true(header->settled_below >= model->facts[model->last - 1].header.settled_below);
    for (uint64_t n = 1; n < header->settled_below; n++) {
        assert_int_not_equal(model->facts[n].fate, LEDGER_OPEN);
        if (model->facts[n].fate != LEDGER_ABANDONED)
            accepted += model->facts[n].events;
    }
    assert_int_equal(header->accepted, accepted);
}

static void give_number(struct model *model, uint32_t events, bool is_for_stream)
{
    struct fact *fact = &model->facts[++model->last];

    *fact = (struct fact){.events = events, .is_for_stream = is_for_stream};
    ledger_open_number(model->ledger, events, is_for_stream, &fact->header);
    check_header(model, &fact->header);
}

static void learn(struct model *model, const struct codec_ranges *ranges, enum ledger_fate fate)
{
    bool *known = fate == LEDGER_SPOOLED ? model->is_spooled : model->is_abandoned;
    uint64_t *up_to = fate == LEDGER_SPOOLED ? model->spooled_up_to : model->abandoned_up_to;

    for (size_t i = 0; i < ranges->count; i++) {
        if (ranges->rows[i].last > up_to[ranges->rows[i].first])
            up_to[ranges->rows[i].first] = ranges->rows[i].last;
        for (uint64_t n = ranges->rows[i].first; n <= ranges->rows[i].last; n++) {
            assert_int_equal(model->facts[n].fate, fate); /* nothing is told that is not so */
            known[n] = true;
        }
    }
}

/* The audit counts the widest range, and leaves out those that begin within it. */
static void check_none_lies_across_another(const uint64_t *up_to, uint64_t last)
{
    uint64_t reach = 0;

    for (uint64_t first = 1; first <= last; first++) {
        if (first <= reach)
            assert_true(up_to[first] <= reach);
        else if (up_to[first] > 0)
            reach = up_to[first];
    }
}

/* The stream takes a batch; then a reader that stops here must not conclude anything wrong. */
static void arrive(struct model *model, uint64_t number)
{
    struct fact *fact = &model->facts[number];

    if (fact->is_on_stream)
        return;
    fact->is_on_stream = true;
    learn(model, &fact->header.spooled, LEDGER_SPOOLED);
    learn(model, &fact->header.abandoned, LEDGER_ABANDONED);
    check_none_lies_across_another(model->spooled_up_to, model->last);
    check_none_lies_across_another(model->abandoned_up_to, model->last);
    if (fact->header.settled_below > model->settled_below)
        model->settled_below = fact->header.settled_below;
    for (uint64_t n = 1; n < model->settled_below; n++) {
        if (!model->facts[n].is_on_stream && !model->is_spooled[n] && !model->is_abandoned[n])
            fail_msg("number %d would count as lost", (int)n);
    }
}

static uint64_t pick_number(struct model *model)
{
    uint64_t back = (uint64_t)random_between(&model->random, 0, 12);

    return model->last > back ? model->last - back : 1;
}

/* An ack, a failure before or after the stream has taken it, a late arrival, a replay. */
static void move(struct model *model, uint64_t number)
{
    struct fact *fact = &model->facts[number];
    int64_t luck = random_between(&model->random, 0, 9);

    if (fact->fate != LEDGER_OPEN) {
        if (fact->is_for_stream || fact->fate == LEDGER_SPOOLED)
            arrive(model, number);
        return;
    }
    if (fact->is_for_stream && luck < 7)
        arrive(model, number);
    if (luck < 5 && fact->is_for_stream)
        fact->fate = LEDGER_STORED;
    else if (luck < 8 && fact->events > 0)
        fact->fate = LEDGER_SPOOLED;
    else
        fact->fate = LEDGER_ABANDONED;
    ledger_settle(model->ledger, number, fact->fate);
}

static void settle_everything(struct model *model)
{
    for (uint64_t n = 1; n <= model->last; n++) {
        if (model->facts[n].fate == LEDGER_OPEN) {
            model->facts[n].fate = LEDGER_ABANDONED;
            ledger_settle(model->ledger, n, LEDGER_ABANDONED);
        }
    }
    for (size_t beats = 0; ledger_has_news(model->ledger); beats++) {
        assert_in_range(beats, 0, LEDGER_RANGES_MAX);
        give_number(model, 0, true);
        arrive(model, model->last);
        model->facts[model->last].fate = LEDGER_STORED;
        ledger_settle(model->ledger, model->last, LEDGER_STORED);
    }
}

TEST(no_prefix_of_any_stream_makes_a_reader_conclude_wrongly)
{
    struct model *model = malloc(sizeof(*model));

    assert_non_null(model);
    for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
        memset(model, 0, sizeof(*model));
        model->random.state = seed;
        model->ledger = new_ledger();
        for (size_t step = 0; step < STEPS; step++) {
            bool is_heartbeat = random_between(&model->random, 0, 20) == 0;

            if (random_between(&model->random, 0, 2) == 0 &&
                ledger_has_room(model->ledger, is_heartbeat))
                give_number(model, is_heartbeat ? 0 : (uint32_t)(step % 7 + 1),
                            is_heartbeat || random_between(&model->random, 0, 2) > 0);
            else if (model->last > 0)
                move(model, pick_number(model));
        }
        settle_everything(model);
        give_number(model, 0, true);
        assert_int_equal(ledger_ranges(model->ledger), 0);
        assert_int_equal(model->facts[model->last].header.settled_below, model->last);
        ledger_free(&model->ledger);
    }
    free(model);
}

TESTS(RUN(numbers_are_dense_and_count_as_settled_in_their_order),
      RUN(a_range_is_told_until_a_batch_that_told_it_is_stored),
      RUN(a_range_that_is_being_told_does_not_grow), RUN(what_was_told_in_vain_grows_again),
      RUN(what_was_told_in_vain_may_be_told_within_a_longer_range),
      RUN(a_range_that_finds_no_place_in_the_header_holds_settled_below_back),
      RUN(too_many_ranges_stop_events_but_not_the_heartbeat_that_tells_them),
      RUN(an_open_number_stops_the_lane_when_the_window_is_full),
      RUN(there_is_news_until_the_stream_has_been_told_and_a_heartbeat_is_none),
      RUN(no_prefix_of_any_stream_makes_a_reader_conclude_wrongly))
