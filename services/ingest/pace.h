/*
 * pace.h — whether a transaction tries COPY, or INSERT at once
 *
 * Why:    a COPY that meets an event that is there already is undone and leaves dead rows. When
 *         that has happened it is likely to happen again soon, so INSERT is used for a while.
 * Shape:  embedded in its store; pure.
 *
 *   COPY --an event was there--> INSERT for 8 transactions --> COPY
 *                                (16, 32 .. 256 when it happens again before 64 calm COPYs)
 */
#pragma once

#include <stdbool.h>

enum { PACE_STAY_MIN = 8, PACE_STAY_MAX = 256, PACE_CALM = 64 };

struct pace {
    unsigned stay; /* transactions by INSERT after the next refusal */
    unsigned left; /* of them still to come */
    unsigned calm; /* COPYs that went well since the last refusal */
};

void pace_init(struct pace *pace);
bool pace_may_copy(const struct pace *pace);

/* A COPY was refused: INSERT does this transaction and some that follow. */
void pace_refuse(struct pace *pace);
/* A transaction was stored. */
void pace_settle(struct pace *pace, bool is_copied);
