/*
 * metrics_table.h — the inside of a metrics table; for metrics*.c only
 *
 *   shard 0: | row 0, label 0 | row 0, label 1 | row 1 | ... |   cells of 64 bits
 *   shard 1: | the same again, cache lines apart                |
 *
 * A counter is one cell; a gauge is one cell of shard 0, the bits of a double; a histogram is one
 * cell a bucket, one for +Inf and one for the sum, the bits of a double. Buckets are summed up only
 * when they are rendered.
 */
#pragma once

#include "base/text.h"
#include "runtime/metrics.h"
#include <stdatomic.h>

typedef _Atomic uint64_t metric_cell;

struct metrics {
    const struct metric_row *rows;
    size_t row_count;
    size_t *first_cells; /* owned: where each row begins in a shard, then where the last one ends */
    size_t shard_cells;  /* cells from one shard to the next */
    metric_cell *cells;  /* owned */
    struct metrics *next;
};

size_t metrics_label_count(const struct metric_row *row); /* 1 without a label */
size_t metrics_bucket_count(const struct metric_row *row);
size_t metrics_cells_per_label(const struct metric_row *row);

/* Over all shards; cell counts from the label's first. */
uint64_t metrics_sum(const struct metrics *metrics, size_t row, size_t label, size_t cell);
double metrics_sum_real(const struct metrics *metrics, size_t row, size_t label, size_t cell);

/* "# HELP" and "# TYPE"; name is whole, prefix included. */
void metrics_add_head(struct text *out, const char *name, const char *type, const char *help);
/* A sample's value as Prometheus reads it: the shortest text that is the same double. */
void metrics_add_value(struct text *out, double value);

void metrics_add_table(struct text *out, const struct metrics *metrics);
/* CPU, memory, descriptors, threads, the start and the build. */
void metrics_add_process(struct text *out);
