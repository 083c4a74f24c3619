/*
 * rows.h — numbers out of PostgreSQL's text results
 */
#pragma once

#include "event/event.h"
#include <libpq-fe.h>
#include <stdint.h>
#include <stdlib.h>

/* NULL reads as 0. */
static inline int64_t rows_number(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static inline uint64_t rows_sequence(const PGresult *result, int row, int column)
{
    return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

static inline const char *rows_text(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column);
}

/* Columns type and reason are neighbours. False: a kind of event that this version does not know.
 */
static inline bool rows_is_series(const PGresult *result, int row, int type_column)
{
    int64_t type = rows_number(result, row, type_column);
    int64_t reason = rows_number(result, row, type_column + 1);

    return type > EVENT_UNSPECIFIED && type < EVENT_TYPE_COUNT && reason >= 0 &&
           reason < EVENT_REASON_COUNT;
}
