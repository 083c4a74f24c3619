/*
 * row_json.h — rows of PostgreSQL as JSON members
 *
 * Shape:  pure: the columns of a row in order, each with its name; NULL becomes null.
 * Errors: those of struct text, asked once by the caller.
 */
#pragma once

#include "base/text.h"

#include <libpq-fe.h>

/* In SQL: an instant as the API writes it. */
#define SQL_INSTANT(value)                                                                         \
    "to_char(" value " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

enum row_kind { ROW_TEXT, ROW_NUMBER, ROW_TYPE, ROW_REASON, ROW_END };

/* ROW_TYPE and ROW_REASON are numbers of the events' enums, shown by name; the reason of valid
 * traffic is null. */
struct row_field {
    const char *name;
    enum row_kind kind;
};

/* "name":value,... of the columns from first on, as many as fields has until ROW_END. */
void row_json_add(struct text *text, const PGresult *result, int row, int first,
                  const struct row_field *fields);
