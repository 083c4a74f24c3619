/*
 * zone_rule.h — the rule by which a zone's clocks change, once its table has ended
 *
 * Why:    a TZif file ends with a POSIX TZ text ("EST5EDT,M3.2.0,M11.1.0") that holds for all later
 *         years; slim files leave even the present to it.
 * Units:  offsets are seconds east of UTC (the text counts west), times of day seconds.
 * Errors: zone_rule_parse answers false for a text that is not a rule.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum zone_date_kind { ZONE_DATE_JULIAN, ZONE_DATE_ORDINAL, ZONE_DATE_WEEKDAY };

/* A day of the year: Jn (1-365, never Feb 29), n (0-365), or Mm.w.d (week 5: the last). */
struct zone_date {
    enum zone_date_kind kind;
    int day; /* of the year, or of the week with Sunday 0 */
    int month, week;
    int32_t time_s; /* of the local clock that is about to change; may lie outside the day */
};

struct zone_rule {
    int32_t standard_s, summer_s;
    bool has_summer;
    struct zone_date start, end; /* of summer time */
};

bool zone_rule_parse(const char *text, size_t size_bytes, struct zone_rule *out);
int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t at_s);
