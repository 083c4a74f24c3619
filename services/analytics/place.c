#include "place.h"

bool place_is_beyond_end(const struct place *place)
{
    return place->has_position && !place->is_rebuilding && place->position > place->last_seq &&
           place->position >= place->first_seq;
}

enum place_verdict place_judge(const struct place *place)
{
    /* Of what went from the stream unread each store may have read another part. */
    if (!place->has_position || place->is_rebuilding || place->skipped_to != 0)
        return PLACE_REBUILD;
    /* With equal positions both stores have counted the same: nothing is won by a rebuild. */
    if (place->position + 1 < place->first_seq && place->position != place->pg_position)
        return PLACE_REBUILD;
    if (place->position <= place->last_seq)
        return PLACE_GOOD;
    if (place->position + 1 == place->first_seq)
        return PLACE_GOOD; /* the stream is new or has been trimmed to its end */
    return place->position == place->pg_position ? PLACE_STREAM_BEHIND : PLACE_REBUILD;
}

const char *place_verdict_name(enum place_verdict verdict)
{
    static const char *const names[] = {[PLACE_GOOD] = "good",
                                        [PLACE_REBUILD] = "rebuild",
                                        [PLACE_STREAM_BEHIND] = "stream_behind"};

    return names[verdict];
}

uint64_t place_after_rebuild(uint64_t pg_position, uint64_t first_seq)
{
    return pg_position + 1 < first_seq ? first_seq - 1 : pg_position;
}
