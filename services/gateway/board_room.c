#include "board_room.h"

#include <string.h>

/* How long a reading takes that has not ended, nobody knows. */
enum { ASK_AGAIN_MS = 1000 };

/* So a usual board finds a place that is not a usual one's. */
_Static_assert((int)SPEC_USUAL_COUNT <= (int)BOARDS_MAX, "each usual board needs a place");

static bool is_there(const struct board_place *place)
{
    return place->has_rows || place->is_reading;
}

static struct board_place *find(struct board_room *self, const struct query_spec *spec)
{
    for (size_t i = 0; i < BOARDS_MAX; i++) {
        struct board_place *place = &self->places[i];

        if (place->is_used && place->window_s == spec->window_s &&
            strcmp(place->frame, spec->frame) == 0 && strcmp(place->zone, spec->zone) == 0)
            return place;
    }
    return NULL;
}

static bool is_in_use(const struct board_place *place, int64_t now_ms)
{
    return place->is_reading || (place->has_rows && now_ms - place->asked_ms < BOARD_IN_USE_MS);
}

/* Those never used first, then those without rows, then the one not asked for the longest. */
static bool is_idler(const struct board_place *place, const struct board_place *than)
{
    if (place->is_used != than->is_used)
        return than->is_used;
    if (place->has_rows != than->has_rows)
        return than->has_rows;
    return place->asked_ms < than->asked_ms;
}

/* NULL: all are in use. */
static struct board_place *find_idle(struct board_room *self, int64_t now_ms)
{
    struct board_place *best = NULL;

    for (size_t i = 0; i < BOARDS_MAX; i++) {
        struct board_place *place = &self->places[i];

        if (!is_in_use(place, now_ms) && (best == NULL || is_idler(place, best)))
            best = place;
    }
    return best;
}

/* What a usual board takes when all are in use: who was there before a client began to cycle is
 * older than what is cycled, however often that is asked for. While the youngest is being read,
 * with those who wait for it, there is none: an older one must not go in its stead. */
static struct board_place *find_youngest(struct board_room *self)
{
    struct board_place *best = NULL;

    for (size_t i = 0; i < BOARDS_MAX; i++) {
        struct board_place *place = &self->places[i];

        if (!place->is_usual && (best == NULL || place->since_ms > best->since_ms))
            best = place;
    }
    return best == NULL || best->is_reading ? NULL : best;
}

static bool is_new_one_read(const struct board_room *self)
{
    for (size_t i = 0; i < BOARDS_MAX; i++) {
        const struct board_place *place = &self->places[i];

        if (place->is_reading && !place->has_rows && !place->is_usual)
            return true;
    }
    return false;
}

/* When a place may be idle, if nobody asks for its board again. */
static int64_t next_idle_ms(const struct board_room *self)
{
    int64_t next_ms = self->places[0].asked_ms;

    for (size_t i = 1; i < BOARDS_MAX; i++)
        if (self->places[i].asked_ms < next_ms)
            next_ms = self->places[i].asked_ms;
    return next_ms + BOARD_IN_USE_MS;
}

static struct board_verdict refuse(enum board_refusal refusal, int64_t wait_ms)
{
    return (struct board_verdict){
        .refusal = refusal,
        .wait_ms = wait_ms > ASK_AGAIN_MS ? wait_ms : ASK_AGAIN_MS,
    };
}

static void enter(struct board_place *place, const struct query_spec *spec, bool is_usual,
                  int64_t now_ms)
{
    *place = (struct board_place){
        .window_s = spec->window_s, .is_used = true, .is_usual = is_usual, .since_ms = now_ms};
    memcpy(place->frame, spec->frame, sizeof(place->frame));
    memcpy(place->zone, spec->zone, sizeof(place->zone));
}

struct board_verdict board_room_take(struct board_room *room, const struct query_spec *spec,
                                     int64_t now_ms)
{
    bool is_usual = query_spec_is_usual(spec);
    struct board_place *place = find(room, spec);

    if (place == NULL || !is_there(place)) {
        if (place == NULL)
            place = find_idle(room, now_ms);
        if (place == NULL && is_usual)
            place = find_youngest(room);
        if (place == NULL)
            return refuse(BOARD_REFUSAL_PLACES, is_usual ? 0 : next_idle_ms(room) - now_ms);
        if (!is_usual && place->is_used && (is_new_one_read(room) || now_ms < room->turn_ms))
            return refuse(BOARD_REFUSAL_TIME, room->turn_ms - now_ms);
        enter(place, spec, is_usual, now_ms);
    }
    place->asked_ms = now_ms;
    return (struct board_verdict){.place = place};
}

void board_room_begin(struct board_place *place)
{
    place->is_reading = true;
}

void board_room_settle(struct board_room *room, struct board_place *place, bool has_failed,
                       int64_t took_ms, int64_t now_ms)
{
    /* A store that was away is asked again soon after it is back: a failure is followed by a
     * shorter rest, but by one. */
    int64_t turn_ms = now_ms + took_ms * (has_failed ? 1 : BOARD_REST);

    if (!place->has_rows && !place->is_usual && turn_ms > room->turn_ms)
        room->turn_ms = turn_ms;
    place->is_reading = false;
    place->has_rows = place->has_rows || !has_failed;
}

size_t board_room_in_use(const struct board_room *room, int64_t now_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < BOARDS_MAX; i++)
        count += is_in_use(&room->places[i], now_ms) ? 1 : 0;
    return count;
}
