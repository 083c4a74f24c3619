#include "day.h"

#include "base/time_text.h"
#include "event/event_id.h"

#include <stdio.h>
#include <string.h>

int64_t day_of_ms(int64_t at_ms)
{
    int64_t day = at_ms / DAY_MS;

    return at_ms % DAY_MS < 0 ? day - 1 : day;
}

void day_format_text(int64_t day, char out[DAY_TEXT_SIZE])
{
    char text[TIME_TEXT_SIZE];

    time_text_format(day * DAY_MS, text);
    memcpy(out, text, DAY_TEXT_SIZE - 1);
    out[DAY_TEXT_SIZE - 1] = '\0';
}

void day_format_name(int64_t day, char out[DAY_NAME_SIZE])
{
    char text[DAY_TEXT_SIZE];

    day_format_text(day, text);
    memcpy(out, text, 4);
    memcpy(out + 4, text + 5, 2);
    memcpy(out + 6, text + 8, 3);
}

bool day_parse_table(const char *table, const char *prefix, int64_t *out_day)
{
    size_t prefix_size = strlen(prefix);
    char text[TIME_TEXT_SIZE];
    int64_t at_ms = 0;

    if (strncmp(table, prefix, prefix_size) != 0)
        return false;
    table += prefix_size;
    if (strlen(table) != DAY_NAME_SIZE - 1 || strspn(table, "0123456789") != DAY_NAME_SIZE - 1)
        return false;
    snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT00:00:00Z", table, table + 4, table + 6);
    if (!time_text_parse(text, strlen(text), &at_ms))
        return false;
    *out_day = day_of_ms(at_ms);
    return true;
}

void day_format_uuid(int64_t day, char out[DAY_UUID_SIZE])
{
    uint64_t at_ms = (uint64_t)(day * DAY_MS);
    uint8_t id[EVENT_ID_SIZE] = {0};

    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(at_ms >> (8 * (5 - i)));
    event_id_format(id, out);
}

bool day_is_accepted(int64_t row_at_ms, int64_t now_at_ms, int64_t retention_days)
{
    int64_t day = day_of_ms(row_at_ms);
    int64_t today = day_of_ms(now_at_ms);

    return day > today - retention_days && day <= today + DAYS_AHEAD_ACCEPTED;
}
