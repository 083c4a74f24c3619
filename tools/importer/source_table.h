/*
 * source_table.h — the tables ads and clicks of an earlier tracker
 *
 * Why:    both are read from one snapshot, so that the judged and the published rows are the same
 *         ones, whatever the tracker does meanwhile.
 * Errors: ERROR_INVALID: a table is missing or cannot be mapped. A lost connection loses the
 *         snapshot: the run fails, and the next one goes on.
 * Limits: ROWS_PER_FETCH rows in memory.
 */
#pragma once

#include "columns.h"
#include "source.h"

struct endpoint;
struct tables;

/* Connects, begins the snapshot, maps the columns and says so on out. */
struct tables *tables_open(struct endpoint *postgres, struct text *out_words, struct error *err);
void tables_close(struct tables **tables);
bool tables_have_ads(const struct tables *tables);

/* Values by enum ad_field; NULL where there is none. row counts from 1. */
typedef bool (*ad_row_fn)(void *ctx, size_t row, const char *const values[AD_FIELD_COUNT],
                          struct error *err);
MUST_CHECK bool tables_read_ads(struct tables *tables, ad_row_fn each, void *ctx,
                                struct error *err);

/* source.read over a struct tables. */
bool tables_read_clicks(void *tables, item_fn each, void *ctx, struct error *err);
