#include "pace.h"

void pace_init(struct pace *pace)
{
    *pace = (struct pace){.stay = PACE_STAY_MIN};
}

bool pace_may_copy(const struct pace *pace)
{
    return pace->left == 0;
}

void pace_refuse(struct pace *pace)
{
    pace->left = pace->stay;
    pace->stay = pace->stay < PACE_STAY_MAX ? pace->stay * 2 : PACE_STAY_MAX;
    pace->calm = 0;
}

void pace_settle(struct pace *pace, bool is_copied)
{
    if (!is_copied) {
        pace->left -= pace->left > 0;
        return;
    }
    if (++pace->calm < PACE_CALM)
        return;
    pace->calm = 0;
    pace->stay = PACE_STAY_MIN;
}
