#include "check.h"

#include "board_room.h"

#include <stdio.h>
#include <string.h>

enum { START_MS = 1000000, TOOK_MS = 300 };

static const int64_t rest_ms = (int64_t)TOOK_MS * BOARD_REST;

static struct query_spec spec_of(const char *frame, int64_t window_s, const char *zone)
{
    struct query_spec spec = {.window_s = window_s};

    (void)snprintf(spec.frame, sizeof(spec.frame), "%s", frame);
    (void)snprintf(spec.zone, sizeof(spec.zone), "%s", zone);
    return spec;
}

static struct board_verdict take(struct board_room *room, int minutes, int64_t now_ms)
{
    char frame[16];
    struct query_spec spec;

    (void)snprintf(frame, sizeof(frame), "%dm", minutes);
    spec = spec_of(frame, (int64_t)minutes * 60, "UTC");
    return board_room_take(room, &spec, now_ms);
}

static struct board_verdict take_usual(struct board_room *room, const char *frame, int64_t now_ms)
{
    struct query_spec spec = spec_of(frame, 0, "UTC");

    return board_room_take(room, &spec, now_ms);
}

static struct board_place *read_first(struct board_room *room, struct board_verdict verdict,
                                      int64_t now_ms)
{
    assert_non_null(verdict.place);
    assert_false(verdict.place->has_rows);
    board_room_begin(verdict.place);
    board_room_settle(room, verdict.place, false, TOOK_MS, now_ms);
    return verdict.place;
}

/* All places with boards of 100 minutes and on, none of them usual, asked for at START_MS. */
static struct board_room full_room(void)
{
    struct board_room room = {0};

    for (int i = 0; i < BOARDS_MAX; i++)
        (void)read_first(&room, take(&room, 100 + i, START_MS), START_MS);
    return room;
}

static void assert_refused(enum board_refusal refusal, int64_t wait_ms,
                           struct board_verdict verdict)
{
    assert_null(verdict.place);
    assert_int_equal(refusal, verdict.refusal);
    assert_int_equal(wait_ms, verdict.wait_ms);
}

TEST(fills_the_places_that_were_never_used_at_once)
{
    struct board_room room = {0};

    for (int i = 0; i < BOARDS_MAX; i++) {
        struct board_verdict verdict = take(&room, 100 + i, START_MS);

        assert_non_null(verdict.place);
        board_room_begin(verdict.place);
    }
}

TEST(finds_a_board_again_by_its_timeframe_and_zone)
{
    struct board_room room = full_room();
    struct query_spec elsewhere = spec_of("100m", 6000, "Europe/Berlin");

    assert_ptr_equal(&room.places[0], take(&room, 100, START_MS).place);
    assert_true(room.places[0].has_rows);
    assert_null(board_room_take(&room, &elsewhere, START_MS).place);
}

TEST(a_board_in_use_keeps_its_place)
{
    struct board_room room = full_room();
    int64_t now_ms = START_MS + BOARD_IN_USE_MS - 1;

    assert_refused(BOARD_REFUSAL_PLACES, 1000, take(&room, 500, now_ms));
    assert_non_null(take(&room, 100, now_ms).place);
    assert_ptr_equal(&room.places[1], take(&room, 500, now_ms + 1).place);
}

TEST(a_board_that_is_being_read_keeps_its_place)
{
    struct board_room room = full_room();

    for (int i = 0; i < BOARDS_MAX; i++)
        board_room_begin(&room.places[i]);
    assert_refused(BOARD_REFUSAL_PLACES, 1000, take(&room, 500, START_MS + BOARD_IN_USE_MS));
    assert_refused(BOARD_REFUSAL_PLACES, 1000, take_usual(&room, "24h", START_MS));
}

TEST(new_boards_are_read_one_at_a_time)
{
    struct board_room room = full_room();
    int64_t now_ms = START_MS + BOARD_IN_USE_MS;
    struct board_verdict first = take(&room, 500, now_ms);

    assert_non_null(first.place);
    board_room_begin(first.place);
    assert_refused(BOARD_REFUSAL_TIME, 1000, take(&room, 501, now_ms));
    assert_ptr_equal(first.place, take(&room, 500, now_ms).place);
}

TEST(a_board_that_is_dropped_does_not_take_its_rest_along)
{
    struct board_room room = full_room();
    int64_t now_ms = START_MS + BOARD_IN_USE_MS;
    struct board_place *place = read_first(&room, take(&room, 500, now_ms), now_ms);

    place->asked_ms = 0;
    assert_ptr_equal(place, take_usual(&room, "24h", now_ms).place);
    assert_refused(BOARD_REFUSAL_TIME, rest_ms, take(&room, 501, now_ms));
    assert_refused(BOARD_REFUSAL_TIME, 1000, take(&room, 501, now_ms + rest_ms - 1));
    assert_non_null(take(&room, 501, now_ms + rest_ms).place);
}

TEST(cycled_boards_are_read_for_a_share_of_the_time)
{
    struct board_room room = full_room();
    int64_t read_ms = 0;
    int64_t end_ms = START_MS + 100 * (int64_t)BOARD_IN_USE_MS;

    for (int64_t now_ms = START_MS; now_ms < end_ms; now_ms += 10) {
        struct board_verdict verdict = take(&room, 1000 + (int)(now_ms / 10 % 9000), now_ms);

        if (verdict.place == NULL || verdict.place->has_rows)
            continue;
        (void)read_first(&room, verdict, now_ms);
        read_ms += TOOK_MS;
    }
    assert_true(read_ms > 0);
    assert_true(read_ms * BOARD_REST <= end_ms - START_MS);
}

TEST(a_usual_board_waits_for_nothing_and_takes_an_unusual_ones_place)
{
    static const char *const frames[] = {"1m", "5m", "10m", "15m", "1h", "24h", "7d", "all"};
    struct board_room room = full_room();

    for (size_t i = 0; i < SPEC_USUAL_COUNT; i++)
        (void)read_first(&room, take_usual(&room, frames[i], START_MS), START_MS);
    for (size_t i = 0; i < SPEC_USUAL_COUNT; i++)
        assert_true(take_usual(&room, frames[i], START_MS).place->has_rows);
    assert_refused(BOARD_REFUSAL_PLACES, BOARD_IN_USE_MS, take(&room, 100, START_MS));
}

TEST(a_usual_board_takes_a_place_not_in_use_and_else_the_youngest)
{
    struct board_room room = {0};
    int64_t now_ms = START_MS + BOARD_IN_USE_MS;

    for (int i = 0; i < BOARDS_MAX; i++) /* the first is the oldest, and is asked for again */
        (void)read_first(&room, take(&room, 100 + i, START_MS + i), START_MS + i);
    for (int i = 0; i < BOARDS_MAX; i++)
        (void)take(&room, 100 + i, now_ms + i);

    assert_ptr_equal(&room.places[BOARDS_MAX - 1],
                     read_first(&room, take_usual(&room, "24h", now_ms), now_ms));
    room.places[3].asked_ms = START_MS;
    assert_ptr_equal(&room.places[3], take_usual(&room, "7d", now_ms).place);
}

TEST(a_usual_board_waits_for_the_youngest_that_is_being_read_rather_than_take_an_older_one)
{
    struct board_room room = {0};
    struct board_place *old = read_first(&room, take(&room, 77, START_MS), START_MS);
    struct board_place *young = NULL;

    for (int i = 1; i < BOARDS_MAX; i++) {
        young = take(&room, 100 + i, START_MS + i).place;
        board_room_begin(young);
    }
    assert_refused(BOARD_REFUSAL_PLACES, 1000, take_usual(&room, "24h", START_MS + 100));
    assert_true(old->has_rows);
    board_room_settle(&room, young, false, TOOK_MS, START_MS + 200);
    assert_ptr_equal(young, take_usual(&room, "24h", START_MS + 200).place);
}

TEST(a_usual_board_does_not_hold_the_others_back)
{
    struct board_room room = full_room();
    int64_t now_ms = START_MS + BOARD_IN_USE_MS;

    (void)read_first(&room, take_usual(&room, "24h", now_ms), now_ms);
    assert_non_null(take(&room, 500, now_ms).place);
}

TEST(a_new_board_whose_reading_failed_is_tried_again_after_a_short_rest)
{
    struct board_room room = full_room();
    int64_t now_ms = START_MS + BOARD_IN_USE_MS;
    struct board_verdict verdict = take(&room, 500, now_ms);

    assert_non_null(verdict.place);
    board_room_begin(verdict.place);
    board_room_settle(&room, verdict.place, true, 2000, now_ms);
    assert_refused(BOARD_REFUSAL_TIME, 2000, take(&room, 500, now_ms));
    assert_refused(BOARD_REFUSAL_TIME, 2000, take(&room, 501, now_ms));
    assert_ptr_equal(verdict.place, take(&room, 501, now_ms + 2000).place);
}

TEST(a_refresh_that_failed_leaves_the_rows_and_holds_nobody_back)
{
    struct board_room room = full_room();
    int64_t now_ms = START_MS + BOARD_IN_USE_MS;

    board_room_begin(&room.places[0]);
    board_room_settle(&room, &room.places[0], true, 2000, now_ms);
    assert_true(room.places[0].has_rows);
    assert_non_null(take(&room, 500, now_ms).place);
}

TEST(a_place_is_in_use_while_it_is_read_or_was_asked_for_of_late)
{
    struct board_room room = {0};

    assert_int_equal(board_room_in_use(&room, START_MS), 0);
    (void)read_first(&room, take(&room, 100, START_MS), START_MS);
    board_room_begin(take(&room, 101, START_MS).place);
    assert_int_equal(board_room_in_use(&room, START_MS), 2);
    assert_int_equal(board_room_in_use(&room, START_MS + BOARD_IN_USE_MS), 1);
}

TESTS(RUN(fills_the_places_that_were_never_used_at_once),
      RUN(finds_a_board_again_by_its_timeframe_and_zone), RUN(a_board_in_use_keeps_its_place),
      RUN(a_board_that_is_being_read_keeps_its_place), RUN(new_boards_are_read_one_at_a_time),
      RUN(a_board_that_is_dropped_does_not_take_its_rest_along),
      RUN(cycled_boards_are_read_for_a_share_of_the_time),
      RUN(a_usual_board_waits_for_nothing_and_takes_an_unusual_ones_place),
      RUN(a_usual_board_takes_a_place_not_in_use_and_else_the_youngest),
      RUN(a_usual_board_waits_for_the_youngest_that_is_being_read_rather_than_take_an_older_one),
      RUN(a_usual_board_does_not_hold_the_others_back),
      RUN(a_new_board_whose_reading_failed_is_tried_again_after_a_short_rest),
      RUN(a_refresh_that_failed_leaves_the_rows_and_holds_nobody_back),
      RUN(a_place_is_in_use_while_it_is_read_or_was_asked_for_of_late))
