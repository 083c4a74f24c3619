/*
 * board_room.h — which boards have a place, and how often a new one may be read
 *
 * Why:     a client may ask for thousands of windows and zones, one after the other. Each would be
 *          a board that nobody has read yet, and that no rest holds back.
 * Shape:   pure: BOARDS_MAX places. Usual boards are those that query_spec_is_usual names, no more
 *          than there are places.
 *
 *            a usual board takes an idle place, else the youngest of one that is not usual, and
 *                          waits at most for its reading: the usual ones cannot be cycled beyond
 *                          their number
 *            any other     takes an idle place when its turn has come: one is read at a time, and
 *                          the next begins not before BOARD_REST times what it took. This rest is
 *                          the room's, so a board that is dropped does not take it along.
 *
 *          A place's state is read by its board, and moved by the functions below only:
 *
 *            take ──► new ──begin──► is_reading ──settle──► has_rows, or after a failure as before
 *                                        ▲                      │
 *                                        └────────begin─────────┘
 *
 *          Idle is a place that was not asked for within BOARD_IN_USE_MS. One that was never used
 *          is free to all: a dashboard that opens is filled at once.
 * Limits:  a usual board is dropped only when idle, so each comes back at most once in
 *          BOARD_IN_USE_MS.
 * Units:   milliseconds; now_ms is monotonic.
 * Threads: the loop's.
 */
#pragma once

#include "query_spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOARDS_MAX = 16, BOARD_REST = 10, BOARD_IN_USE_MS = 60000 };

struct board_place {
    int64_t window_s;
    char frame[SPEC_FRAME_SIZE];
    char zone[ZONE_NAME_MAX + 1];
    bool is_used, is_usual;
    bool is_reading, has_rows;
    int64_t since_ms; /* when this board took the place */
    int64_t asked_ms; /* when it was last asked for */
};

struct board_room {
    struct board_place places[BOARDS_MAX];
    int64_t turn_ms; /* from then on the next board that is not usual may be read */
};

enum board_refusal { BOARD_REFUSAL_PLACES, BOARD_REFUSAL_TIME };

struct board_verdict {
    struct board_place *place; /* NULL: refused. Neither has_rows nor is_reading: a new board */
    enum board_refusal refusal;
    int64_t wait_ms; /* when refused: not before then */
};

struct board_verdict board_room_take(struct board_room *room, const struct query_spec *spec,
                                     int64_t now_ms);
/* A reading of the place's board begins, none being under way; board_room_settle ends it. */
void board_room_begin(struct board_place *place);
/* A reading of the place's board has ended. The next one of a new board is held back if need be. */
void board_room_settle(struct board_room *room, struct board_place *place, bool has_failed,
                       int64_t took_ms, int64_t now_ms);
/* Places that are not idle. */
size_t board_room_in_use(const struct board_room *room, int64_t now_ms);
