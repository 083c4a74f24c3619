#include "zone_rule.h"

#include <string.h>

enum {
    DAY_S = 86400,
    HOUR_S = 3600,
    OFFSET_HOURS_MAX = 24,
    TIME_HOURS_MAX = 167, /* RFC 8536 allows a change up to a week off */
    CHANGE_DEFAULT_S = 2 * HOUR_S,
};

struct cursor {
    const char *at, *end;
};

static bool take_char(struct cursor *cursor, char wanted)
{
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static bool take_number(struct cursor *cursor, int max, int *out)
{
    const char *start = cursor->at;
    int value = 0;

    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        value = value * 10 + (*cursor->at++ - '0');
        if (value > max)
            return false;
    }
    *out = value;
    return cursor->at > start;
}

/* Letters, or anything between < and >: only its end matters here. */
static bool skip_name(struct cursor *cursor)
{
    const char *start = cursor->at;

    if (take_char(cursor, '<')) {
        while (cursor->at < cursor->end && *cursor->at != '>')
            cursor->at++;
        return take_char(cursor, '>');
    }
    while (cursor->at < cursor->end && ((*cursor->at >= 'A' && *cursor->at <= 'Z') ||
                                        (*cursor->at >= 'a' && *cursor->at <= 'z')))
        cursor->at++;
    return cursor->at - start >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct cursor *cursor, int hours_max, int32_t *out_s)
{
    bool is_negative = take_char(cursor, '-');
    int hours = 0;
    int minutes = 0;
    int seconds = 0;

    if (!is_negative)
        (void)take_char(cursor, '+');
    if (!take_number(cursor, hours_max, &hours))
        return false;
    if (take_char(cursor, ':')) {
        if (!take_number(cursor, 59, &minutes))
            return false;
        if (take_char(cursor, ':') && !take_number(cursor, 59, &seconds))
            return false;
    }
    *out_s = hours * HOUR_S + minutes * 60 + seconds;
    if (is_negative)
        *out_s = -*out_s;
    return true;
}

static bool take_day(struct cursor *cursor, struct zone_date *out)
{
    if (take_char(cursor, 'J')) {
        out->kind = ZONE_DATE_JULIAN;
        return take_number(cursor, 365, &out->day) && out->day >= 1;
    }
    if (!take_char(cursor, 'M')) {
        out->kind = ZONE_DATE_ORDINAL;
        return take_number(cursor, 365, &out->day);
    }
    out->kind = ZONE_DATE_WEEKDAY;
    return take_number(cursor, 12, &out->month) && out->month >= 1 && take_char(cursor, '.') &&
           take_number(cursor, 5, &out->week) && out->week >= 1 && take_char(cursor, '.') &&
           take_number(cursor, 6, &out->day);
}

static bool take_date(struct cursor *cursor, struct zone_date *out)
{
    if (!take_char(cursor, ',') || !take_day(cursor, out))
        return false;
    out->time_s = CHANGE_DEFAULT_S;
    return !take_char(cursor, '/') || take_time(cursor, TIME_HOURS_MAX, &out->time_s);
}

bool zone_rule_parse(const char *text, size_t size_bytes, struct zone_rule *out)
{
    struct cursor cursor = {.at = text, .end = text + size_bytes};
    struct zone_rule rule = {0};
    int32_t west_s = 0;

    if (!skip_name(&cursor) || !take_time(&cursor, OFFSET_HOURS_MAX, &west_s))
        return false;
    rule.standard_s = -west_s;
    if (cursor.at == cursor.end) {
        *out = rule;
        return true;
    }
    rule.has_summer = true;
    rule.summer_s = rule.standard_s + HOUR_S;
    if (!skip_name(&cursor))
        return false;
    if (cursor.at < cursor.end && *cursor.at != ',') {
        if (!take_time(&cursor, OFFSET_HOURS_MAX, &west_s))
            return false;
        rule.summer_s = -west_s;
    }
    if (!take_date(&cursor, &rule.start) || !take_date(&cursor, &rule.end) ||
        cursor.at != cursor.end)
        return false;
    *out = rule;
    return true;
}

/* Howard Hinnant's days_from_civil: the count of days from 1970-01-01, proleptic Gregorian. */
static int64_t count_days(int64_t year, int month, int day)
{
    int64_t shifted = month <= 2 ? year - 1 : year;
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static int64_t year_of(int64_t days)
{
    int64_t year = 1970 + floor_div(days, 366);

    while (count_days(year + 1, 1, 1) <= days)
        year++;
    return year;
}

static bool is_leap(int64_t year)
{
    return count_days(year + 1, 1, 1) - count_days(year, 1, 1) == 366;
}

/* The date in that year, in local seconds since 1970. */
static int64_t date_in_year(const struct zone_date *date, int64_t year)
{
    int64_t day = 0;

    switch (date->kind) {
    case ZONE_DATE_JULIAN:
        day = count_days(year, 1, 1) + date->day - 1 + (is_leap(year) && date->day >= 60);
        break;
    case ZONE_DATE_ORDINAL:
        day = count_days(year, 1, 1) + date->day;
        break;
    case ZONE_DATE_WEEKDAY: {
        int64_t first = count_days(year, date->month, 1);
        int64_t next =
            date->month == 12 ? count_days(year + 1, 1, 1) : count_days(year, date->month + 1, 1);
        int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */

        day = first + (date->day - weekday + 7) % 7 + (int64_t)(date->week - 1) * 7;
        if (day >= next)
            day -= 7;
        break;
    }
    }
    return day * DAY_S + date->time_s;
}

int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t at_s)
{
    if (!rule->has_summer)
        return rule->standard_s;

    int64_t year = year_of(floor_div(at_s + rule->standard_s, DAY_S));
    int64_t start_s = date_in_year(&rule->start, year) - rule->standard_s;
    int64_t end_s = date_in_year(&rule->end, year) - rule->summer_s;
    /* South of the equator summer begins late in the year and ends early in it. */
    bool is_summer =
        start_s < end_s ? at_s >= start_s && at_s < end_s : at_s >= start_s || at_s < end_s;

    return is_summer ? rule->summer_s : rule->standard_s;
}
