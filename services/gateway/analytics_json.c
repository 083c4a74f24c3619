#include "analytics_json.h"

#include "base/time_text.h"
#include "query_spec.h"

#include <string.h>

enum { DIGITS_MAX = 18 }; /* what every 64-bit integer holds */

static const char *const window_names[COUNTERS_WINDOWS] = {
    "last_1_minute", "last_5_minutes", "last_15_minutes",
    "last_1_hour",   "last_24_hours",  "last_7_days",
};

int64_t numbers_gross(const struct ad_numbers *numbers)
{
    int64_t gross = numbers->clicks;

    for (size_t i = 0; i < EVENT_REASON_COUNT; i++)
        gross += numbers->invalid[i];
    return gross;
}

void numbers_add(struct ad_numbers *sum, const struct ad_numbers *more)
{
    sum->total_clicks += more->total_clicks;
    sum->clicks += more->clicks;
    sum->uniques = sum->uniques < 0 || more->uniques < 0 ? -1 : sum->uniques + more->uniques;
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++)
        sum->windows[i] += more->windows[i];
    for (size_t i = 0; i < COUNTERS_HOURS; i++)
        sum->hours[i] += more->hours[i];
    for (size_t i = 0; i < EVENT_REASON_COUNT; i++)
        sum->invalid[i] += more->invalid[i];
    for (size_t i = 0; i < EVENT_TYPE_COUNT; i++)
        sum->events[i] += more->events[i];
}

/* ,"name":value — the comma is there unless this opens an object or an array. */
static void add_name(struct text *text, const char *name)
{
    bool is_first =
        text->size == 0 || text->bytes[text->size - 1] == '{' || text->bytes[text->size - 1] == '[';

    if (!is_first)
        text_add_char(text, ',');
    text_add_char(text, '"');
    text_add_str(text, name);
    text_add(text, "\":", 2);
}

static void add_count(struct text *text, const char *name, int64_t value)
{
    add_name(text, name);
    text_add_int(text, value);
}

/* Unknown only where PostgreSQL stands in for Redis and had no time to count. */
static void add_uniques(struct text *text, const char *name, const struct ad_numbers *numbers)
{
    add_name(text, name);
    if (numbers->uniques < 0)
        text_add_str(text, "null");
    else
        text_add_int(text, numbers->uniques);
}

static void add_string(struct text *text, const char *name, const char *value)
{
    add_name(text, name);
    text_add_json_string(text, value, strlen(value));
}

static void add_time(struct text *text, const char *name, int64_t at_ms)
{
    char instant[TIME_TEXT_SIZE];

    time_text_format(at_ms, instant);
    add_string(text, name, instant);
}

static void add_ctr(struct text *text, const struct ad_numbers *numbers, const char *none)
{
    int64_t impressions = numbers->events[EVENT_IMPRESSION];

    add_name(text, "ctr");
    if (impressions > 0)
        text_addf(text, "%.6f", (double)numbers->clicks / (double)impressions);
    else
        text_add_str(text, none);
}

static void add_hours(struct text *text, const char *name, const struct ad_numbers *numbers)
{
    add_name(text, name);
    text_add_char(text, '{');
    for (size_t i = 0; i < COUNTERS_HOURS; i++) {
        char hour[3] = {(char)('0' + i / 10), (char)('0' + i % 10), '\0'};

        add_count(text, hour, numbers->hours[i]);
    }
    text_add_char(text, '}');
}

static void add_numbers(struct text *text, const struct ad_numbers *numbers)
{
    add_count(text, "total_clicks", numbers->total_clicks);
    add_count(text, "clicks", numbers->clicks);
    add_count(text, "gross_clicks", numbers_gross(numbers));
    add_name(text, "invalid_clicks");
    text_add_char(text, '{');
    for (size_t i = EVENT_VALID + 1; i < EVENT_REASON_COUNT; i++)
        add_count(text, event_reason_names[i], numbers->invalid[i]);
    text_add_char(text, '}');
    add_uniques(text, "unique_clicks", numbers);
    add_count(text, "impressions", numbers->events[EVENT_IMPRESSION]);
    add_ctr(text, numbers, "null");
    add_name(text, "time_frames");
    text_add_char(text, '{');
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++)
        add_count(text, window_names[i], numbers->windows[i]);
    text_add_char(text, '}');
    add_hours(text, "hourly_clicks", numbers);
    add_name(text, "video");
    text_add_char(text, '{');
    for (size_t i = EVENT_START; i < EVENT_TYPE_COUNT; i++)
        add_count(text, event_type_names[i], numbers->events[i]);
    text_add_char(text, '}');
}

static void add_meta(struct text *text, const struct reading_meta *meta)
{
    add_time(text, "as_of", meta->as_of_ms);
    add_name(text, "lag_seconds");
    if (meta->lag_ms < 0)
        text_add_str(text, "null");
    else
        text_add_int(text, meta->lag_ms / 1000);
    add_string(text, "source", meta->source);
    add_name(text, "stale");
    text_add_str(text, meta->is_stale ? "true" : "false");
    add_time(text, "timestamp", meta->as_of_ms);
}

void analytics_json_ad(struct text *text, const char *ad_id, const struct ad_numbers *numbers,
                       const struct reading_meta *meta)
{
    text_add_char(text, '{');
    add_string(text, "ad_id", ad_id);
    add_string(text, "timeframe", meta->frame);
    add_numbers(text, numbers);
    add_meta(text, meta);
    text_add_char(text, '}');
}

static void add_next_cursor(struct text *text, const struct board_page *page)
{
    const struct board_row *last = NULL;
    char cursor[SPEC_CURSOR_MAX];

    add_name(text, "next_cursor");
    if (page->left <= page->count || page->count == 0) {
        text_add_str(text, "null");
        return;
    }
    last = &page->rows[page->count - 1];
    board_cursor_format(last->numbers.clicks, last->id, cursor);
    text_add_json_string(text, cursor, strlen(cursor));
}

void analytics_json_board(struct text *text, const struct board_page *page,
                          const struct reading_meta *meta)
{
    text_add_char(text, '{');
    add_string(text, "timeframe", meta->frame);
    add_name(text, "ads");
    text_add_char(text, '[');
    for (size_t i = 0; i < page->count; i++) {
        text_add_str(text, i == 0 ? "{" : ",{");
        add_string(text, "ad_id", page->rows[i].id);
        add_string(text, "timeframe", meta->frame);
        add_numbers(text, &page->rows[i].numbers);
        text_add_char(text, '}');
    }
    text_add_char(text, ']');
    add_name(text, "totals");
    text_add_char(text, '{');
    add_numbers(text, page->totals);
    text_add_char(text, '}');
    add_count(text, "count", (int64_t)page->row_count);
    add_next_cursor(text, page);
    add_meta(text, meta);
    text_add_char(text, '}');
}

bool json_is_legacy_number(const char *id, size_t size_bytes)
{
    return size_bytes <= DIGITS_MAX && strspn(id, "0123456789") == size_bytes &&
           (id[0] != '0' || size_bytes == 1); /* JSON has no leading zeros */
}

void json_add_legacy_id(struct text *text, const char *id)
{
    size_t size = strlen(id);

    if (json_is_legacy_number(id, size))
        text_add(text, id, size);
    else
        text_add_json_string(text, id, size);
}

void legacy_json_camel(struct text *text, const struct ad_numbers *numbers)
{
    text_add_char(text, '{');
    add_count(text, "totalClicks", numbers_gross(numbers));
    add_uniques(text, "uniqueClicks", numbers);
    add_count(text, "impressions", numbers->events[EVENT_IMPRESSION]);
    add_ctr(text, numbers, "0");
    add_hours(text, "hourlyClicks", numbers);
    text_add_char(text, '}');
}

static void add_legacy_row(struct text *text, const char *ad_id, const struct ad_numbers *numbers)
{
    add_name(text, "ad_id");
    json_add_legacy_id(text, ad_id);
    add_count(text, "clicks", numbers->clicks);
    add_ctr(text, numbers, "0");
}

void legacy_json_snake(struct text *text, const char *ad_id, const struct ad_numbers *numbers)
{
    text_add_char(text, '{');
    add_legacy_row(text, ad_id, numbers);
    add_count(text, "impressions", numbers->events[EVENT_IMPRESSION]);
    add_uniques(text, "unique_clicks", numbers);
    add_count(text, "total_clicks", numbers->total_clicks);
    text_add_char(text, '}');
}

void legacy_json_list(struct text *text, const struct board_page *page)
{
    text_add_char(text, '[');
    for (size_t i = 0; i < page->count; i++) {
        text_add_str(text, i == 0 ? "{" : ",{");
        add_legacy_row(text, page->rows[i].id, &page->rows[i].numbers);
        text_add_char(text, '}');
    }
    text_add_char(text, ']');
}

void legacy_json_map(struct text *text, const struct board_page *page)
{
    text_add_char(text, '{');
    for (size_t i = 0; i < page->count; i++)
        add_count(text, page->rows[i].id, page->rows[i].numbers.clicks);
    text_add_char(text, '}');
}
