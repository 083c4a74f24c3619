#include "ingest_metrics.h"

#include "batch.h"
#include "runtime/metrics.h"
#include "store.h"

#include <assert.h>
#include <stdio.h>

static const char *const ingest_result_names[RESULT_COUNT + 1] = {"stored",    "lost",   "no_day",
                                                                  "uncertain", "failed", NULL};
static const char *const ingest_way_names[STORE_WAY_COUNT + 1] = {"copy", "insert", "halves", NULL};
/* Filled at the start: only the partitions that there are become series. */
static char partition_texts[INGEST_PARTITIONS_MAX][4];
static const char *ingest_partition_names[INGEST_PARTITIONS_MAX + 1];

static const struct metric_row rows[METRIC_COUNT] = {
/* clang-format off */
#include "runtime/metrics_rows.h"
#include "metrics.def"
#include "runtime/metrics_end.h"
    /* clang-format on */
};

static struct metrics *table; /* for the life of the process; NULL: not open */

bool ingest_metrics_open(uint32_t partition_count, struct error *err)
{
    assert(partition_count <= INGEST_PARTITIONS_MAX);
    for (uint32_t i = 0; i < partition_count; i++) {
        snprintf(partition_texts[i], sizeof(partition_texts[i]), "%u", i);
        ingest_partition_names[i] = partition_texts[i];
    }
    table = metrics_new(rows, METRIC_COUNT);
    if (table == NULL)
        return error_set(err, ERROR_LIMIT, "metrics: no memory");
    return true;
}

void ingest_count(enum ingest_metric metric, int64_t amount)
{
    if (table != NULL)
        metrics_add(table, metric, amount);
}

void ingest_count_by(enum ingest_metric metric, size_t label, int64_t amount)
{
    if (table != NULL)
        metrics_add_by(table, metric, label, amount);
}

void ingest_gauge(enum ingest_metric metric, double value)
{
    if (table != NULL)
        metrics_set(table, metric, value);
}

void ingest_gauge_by(enum ingest_metric metric, size_t label, double value)
{
    if (table != NULL)
        metrics_set_by(table, metric, label, value);
}

void ingest_observe(enum ingest_metric metric, double value)
{
    if (table != NULL)
        metrics_observe(table, metric, value);
}
