#include "base/time_text.h"

#include <stdio.h>
#include <string.h>

enum { DAYS_PER_ERA = 146097, DAYS_TO_EPOCH = 719468 }; /* an era: 400 years; from 0000-03-01 */
static const int64_t ms_per_day = 86400000;
static const int64_t first_ms = -62135596800000; /* 0001-01-01T00:00:00.000Z */
static const int64_t last_ms = 253402300799999;  /* 9999-12-31T23:59:59.999Z */

/* What is still to be read; a failed read leaves it where it was. */
struct scan {
    const char *at;
    const char *end;
};

struct civil {
    int year, month, day;
    int hour, minute, second, millisecond;
};

/*
 * The civil calendar by arithmetic (Howard Hinnant's days_from_civil): years begin in March, so
 * that the leap day is the last of its year and needs no case of its own.
 */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
}

static void date_of(int64_t days, struct civil *out)
{
    int64_t z = days + DAYS_TO_EPOCH;
    int64_t era = (z >= 0 ? z : z - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = z - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* March is 0 */

    out->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year_of_era + era * 400 + (out->month <= 2));
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && is_leap);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly this many digits, with a value from min to max. */
static bool read_number(struct scan *scan, int digits, int min, int max, int *out)
{
    int value = 0;

    if (scan->end - scan->at < digits)
        return false;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(scan->at[i]))
            return false;
        value = value * 10 + (scan->at[i] - '0');
    }
    if (value < min || value > max)
        return false;
    scan->at += digits;
    *out = value;
    return true;
}

static bool read_either(struct scan *scan, char one, char other)
{
    if (scan->at == scan->end || (*scan->at != one && *scan->at != other))
        return false;
    scan->at++;
    return true;
}

static bool read_char(struct scan *scan, char c)
{
    return read_either(scan, c, c);
}

static bool read_date(struct scan *scan, struct civil *out)
{
    return read_number(scan, 4, 1, 9999, &out->year) && read_char(scan, '-') &&
           read_number(scan, 2, 1, 12, &out->month) && read_char(scan, '-') &&
           read_number(scan, 2, 1, days_in_month(out->year, out->month), &out->day);
}

/* The fraction after its dot: 1 to 9 digits, of which three count. */
static bool read_fraction(struct scan *scan, int *out_ms)
{
    int digits = 0;
    int ms = 0;

    for (; scan->at < scan->end && is_digit(*scan->at); scan->at++, digits++) {
        if (digits < 3)
            ms = ms * 10 + (*scan->at - '0');
    }
    for (int i = digits; i < 3; i++)
        ms *= 10;
    *out_ms = ms;
    return digits >= 1 && digits <= 9;
}

static bool read_time(struct scan *scan, struct civil *out)
{
    if (!read_number(scan, 2, 0, 23, &out->hour) || !read_char(scan, ':') ||
        !read_number(scan, 2, 0, 59, &out->minute) || !read_char(scan, ':') ||
        !read_number(scan, 2, 0, 60, &out->second))
        return false;
    return !read_char(scan, '.') || read_fraction(scan, &out->millisecond);
}

static bool read_offset(struct scan *scan, int *out_minutes)
{
    bool is_west = false;
    int hour = 0;
    int minute = 0;

    *out_minutes = 0;
    if (read_either(scan, 'Z', 'z'))
        return true;
    is_west = read_char(scan, '-');
    if (!is_west && !read_char(scan, '+'))
        return false;
    if (!read_number(scan, 2, 0, 23, &hour) || !read_char(scan, ':') ||
        !read_number(scan, 2, 0, 59, &minute))
        return false;
    *out_minutes = (hour * 60 + minute) * (is_west ? -1 : 1);
    return true;
}

/* A leap second is only ever the last second of a UTC day; we keep it as the 59th. */
static bool take_leap_second(struct civil *civil, int offset_minutes)
{
    int minute_of_day = (civil->hour * 60 + civil->minute - offset_minutes + 2 * 1440) % 1440;

    if (civil->second < 60)
        return true;
    civil->second = 59;
    return minute_of_day == 1439;
}

bool time_text_parse(const char *text, size_t size_bytes, int64_t *out_at_ms)
{
    struct scan scan = {text, text + size_bytes};
    struct civil civil = {0};
    int offset_minutes = 0;
    int64_t at_ms = 0;

    if (!read_date(&scan, &civil) || !read_either(&scan, 'T', 't') || !read_time(&scan, &civil) ||
        !read_offset(&scan, &offset_minutes) || scan.at != scan.end ||
        !take_leap_second(&civil, offset_minutes))
        return false;
    at_ms = days_of(civil.year, civil.month, civil.day) * ms_per_day +
            (int64_t)civil.hour * 3600000 + (int64_t)(civil.minute - offset_minutes) * 60000 +
            (int64_t)civil.second * 1000 + civil.millisecond;
    if (at_ms < first_ms || at_ms > last_ms) /* an offset led out of the four digits */
        return false;
    *out_at_ms = at_ms;
    return true;
}

/* Two digits at a time: snprintf is ten times slower, and this runs for every row shown. */
static void put_digits(char *out, int digits, int64_t value)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void time_text_format(int64_t at_ms, char out[TIME_TEXT_SIZE])
{
    int64_t at = at_ms < first_ms ? first_ms : at_ms > last_ms ? last_ms : at_ms;
    int64_t ms_of_day = ((at % ms_per_day) + ms_per_day) % ms_per_day;
    struct civil civil = {0};

    date_of((at - ms_of_day) / ms_per_day, &civil);
    memcpy(out, "0000-00-00T00:00:00.000Z", TIME_TEXT_SIZE);
    put_digits(out, 4, civil.year);
    put_digits(out + 5, 2, civil.month);
    put_digits(out + 8, 2, civil.day);
    put_digits(out + 11, 2, ms_of_day / 3600000);
    put_digits(out + 14, 2, ms_of_day / 60000 % 60);
    put_digits(out + 17, 2, ms_of_day / 1000 % 60);
    put_digits(out + 20, 3, ms_of_day % 1000);
}
