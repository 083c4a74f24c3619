/*
 * columns.h — rows turned into the binary arrays that the statements unnest
 *
 * Why:    one statement with an array a column stores thousands of rows for the price of one
 *         round trip and one plan; binary arrays need no quoting and no parsing.
 * Shape:  a struct columns is a list of arrays in the order of a statement's parameters. Each
 *         columns_x empties it and fills it; columns_params hands the parameters out.
 * Memory: the arrays are owned and used again; parameters are views into them.
 */
#pragma once

#include "base/error.h"
#include "batch.h"
#include "clients/pg.h"
#include "fold.h"

enum { COLUMNS_MAX = 16 };

struct columns {
    struct pg_array arrays[COLUMNS_MAX];
    size_t count;
};

void columns_init(struct columns *columns);
void columns_free(struct columns *columns);

/* What each of them fills is in the order of the parameters in store_sql.h. */
void columns_heads(struct columns *columns, const struct batch *batch);
/* The ranges that the filed batches' headers carry. */
void columns_ranges(struct columns *columns, const struct batch *batch);
void columns_events(struct columns *columns, const struct batch *batch, const uint32_t *rows,
                    size_t row_count);
/* The same as rows for COPY; pg_array_copy ends them. */
void columns_copy_events(struct pg_array *copy, const struct batch *batch, const uint32_t *rows,
                         size_t row_count);
void columns_sums(struct columns *columns, const struct fold *sums);
void columns_marks(struct columns *columns, const struct fold *marks);
/* New batches whose row does not say what became of their events. */
void columns_corrections(struct columns *columns, const struct batch *batch);
/* The letters that are told for the first time: those of a batch that came before are not. */
void columns_letters(struct columns *columns, const struct batch *batch);

/* out has room for the columns; ERROR_LIMIT: there was no memory for one of them. */
MUST_CHECK bool columns_params(struct columns *columns, struct pg_param *out, struct error *err);
/* Rows in the columns. */
size_t columns_rows(const struct columns *columns);
