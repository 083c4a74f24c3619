/*
 * analytics_json.h — an ad's numbers as the routes show them
 *
 * Shape:  pure: numbers in, JSON appended to a text. Every shape is here: the v1 object and board,
 *         and those of the earlier clients.
 * Units:  as docs/api.md "Analytics" says; ctr has six decimals.
 * Errors: those of struct text, asked once by the caller.
 */
#pragma once

#include "base/text.h"
#include "counters.h"

/* What is said of a reading besides its numbers. */
struct reading_meta {
    const char *frame; /* "24h" */
    const char *source;
    int64_t as_of_ms;
    int64_t lag_ms; /* negative: unknown */
    bool is_stale;
};

struct board_row {
    const char *id; /* borrowed from the board's snapshot */
    struct ad_numbers numbers;
};

/* A page of a board: rows[0..count) of all that are left after the cursor. */
struct board_page {
    const struct board_row *rows;
    size_t count;
    size_t left;      /* >= count; more than count: there is a next page */
    size_t row_count; /* of the whole board */
    const struct ad_numbers *totals;
};

int64_t numbers_gross(const struct ad_numbers *numbers);
void numbers_add(struct ad_numbers *sum, const struct ad_numbers *more);

void analytics_json_ad(struct text *text, const char *ad_id, const struct ad_numbers *numbers,
                       const struct reading_meta *meta);
void analytics_json_board(struct text *text, const struct board_page *page,
                          const struct reading_meta *meta);

/* An id that is all digits is a number, as the earlier clients sent it, unless JSON or 64 bits
 * cannot hold it. */
bool json_is_legacy_number(const char *id, size_t size_bytes);
void json_add_legacy_id(struct text *text, const char *id);
void legacy_json_camel(struct text *text, const struct ad_numbers *numbers);
void legacy_json_snake(struct text *text, const char *ad_id, const struct ad_numbers *numbers);
void legacy_json_list(struct text *text, const struct board_page *page);
void legacy_json_map(struct text *text, const struct board_page *page);
