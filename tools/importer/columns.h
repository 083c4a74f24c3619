/*
 * columns.h — which column of an earlier tracker's table is taken for which field
 *
 * Why:    the trackers' schemas differ and are not known beforehand. What is taken for what is
 *         decided from names and types alone, said to the user, and refused when it does not fit.
 * Shape:  pure: columns come in as names and types, SQL and sentences come out as text.
 * Errors: ERROR_INVALID: a field that must be there has no column, or a column's type cannot hold
 *         the field.
 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "fields.h"

enum { COLUMNS_MAX = 200 };

struct column {
    const char *name; /* as in the database; borrowed */
    const char *type; /* format_type's words: "timestamp with time zone" */
};

struct column_plan {
    const struct field_table *fields;
    const char *table;
    const struct column *columns;        /* borrowed */
    const struct column *of[FIELDS_MAX]; /* by field; NULL: the table has none */
};

MUST_CHECK bool columns_plan(const struct field_table *fields, const char *table,
                             const struct column *columns, size_t column_count,
                             struct column_plan *out, struct error *err);

/* "SELECT ..., ... FROM table": one text column a field, in the fields' order; NULL where there is
 * none. Instants come as RFC 3339, addresses without a mask, intervals as seconds. */
void columns_add_select(const struct column_plan *plan, struct text *out);

/* "clicks: ad_id <- adId (uuid), timestamp <- clicked_at (...); no column for user_agent; not used:
 * referer" */
void columns_add_words(const struct column_plan *plan, size_t column_count, struct text *out);
