/*
 * day.h — UTC days, which are what events and batches are kept by
 *
 * Why:   a partition a day: its name, its bounds and the range that is accepted are computed here
 *        and nowhere else.
 * Units: a day is the number of whole UTC days since 1970; at_ms is Unix milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    DAY_MS = 86400000,
    DAY_NAME_SIZE = 9,       /* "20261121" and its NUL */
    DAY_TEXT_SIZE = 11,      /* "2026-11-21" and its NUL */
    DAY_UUID_SIZE = 37,      /* the 36 characters of a UUID and its NUL */
    DAYS_AHEAD_ACCEPTED = 2, /* an event may be filed this many days after today */
};

int64_t day_of_ms(int64_t at_ms);
void day_format_name(int64_t day, char out[DAY_NAME_SIZE]); /* for names of tables */
void day_format_text(int64_t day, char out[DAY_TEXT_SIZE]); /* for SQL */

/* "events_20261121" -> 20778; false unless it is prefix, eight digits and nothing else. */
bool day_parse_table(const char *table, const char *prefix, int64_t *out_day);

/* The lowest UUID whose first 48 bits, which are milliseconds, lie in the day. */
void day_format_uuid(int64_t day, char out[DAY_UUID_SIZE]);

/*
 * True when a row of that instant is stored: from the oldest day that retention keeps, less one,
 * so that a day is never made again while it is being dropped, to DAYS_AHEAD_ACCEPTED after today.
 */
bool day_is_accepted(int64_t row_at_ms, int64_t now_at_ms, int64_t retention_days);
