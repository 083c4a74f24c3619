#include "judge.h"

#include "event/event_id.h"

enum { DAY_MS = 24 * 3600 * 1000, AHEAD_MS = 5 * 60 * 1000 };

int64_t judge_kept_from_ms(int64_t now_at_ms, int64_t retention_days)
{
    return (now_at_ms / DAY_MS - retention_days + 1) * DAY_MS;
}

bool judge_item(struct judge *judge, const struct item *item, int64_t now_at_ms, struct judged *out,
                struct error *err)
{
    int64_t kept_from_ms = judge_kept_from_ms(now_at_ms, judge->retention_days);

    out->verdict = VERDICT_BAD;
    if (item->record == NULL) {
        error_set(&out->why, ERROR_INVALID, "%s", item->why);
        return true;
    }
    if (!click_from_record(item->record, &out->click, &out->why))
        return true;
    if (!identity_give(judge->ordinals, &out->click, err))
        return false;
    if (out->click.event.event_at_ms > now_at_ms + AHEAD_MS)
        error_set(&out->why, ERROR_INVALID, "its time lies in the future");
    else if (event_id_at_ms(out->click.event.id) < kept_from_ms)
        out->verdict = VERDICT_OLD;
    else
        out->verdict = VERDICT_GOOD;
    return true;
}
