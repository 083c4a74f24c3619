#include "metrics.h"

#include "event/decode.h"
#include "event/event.h"
#include "runtime/metrics.h"

#include <assert.h>
#include <stdio.h>

/* Index is enum fault_code. */
static const char *const fault_names[] = {
#define FAULT(name, text, status, title) text,
#include "event/faults.def"
#undef FAULT
    NULL,
};

/* Index is enum query_pool_name. */
static const char *const pool_names[] = {"query", "proof", NULL};

/* Index is enum board_refusal. */
static const char *const board_refusal_names[] = {"places", "time", NULL};

/* Filled at the start: only the partitions that there are become series. */
static char partition_texts[GATEWAY_PARTITIONS_MAX][4];
static const char *partition_names[GATEWAY_PARTITIONS_MAX + 1];

/* Index is enum hand_on, in batcher.c. */
static const char *const hand_on_names[] = {"away", "waited", "late", "refused", "cut", NULL};

/* Index is enum keep_stop. */
static const char *const keep_stop_names[] = {"spool", "inbox", NULL};

static const char *const heartbeat_names[] = {"stored", "unheard", NULL};

/* Index is enum access_verdict, less the first. */
static const char *const refused_names[] = {"unauthorized", "forbidden", NULL};

/* Index is enum limited, in admission.c. */
static const char *const limited_names[] = {"client", "key", NULL};

/* Index is enum keep_result, in keep_line.c. */
static const char *const keep_result_names[] = {"kept", "full", "failed", "late", "refused", NULL};

#define COUNTER(name_, help_) {.kind = METRIC_COUNTER, .name = #name_, .help = (help_)},
#define COUNTER_BY(name_, help_, label_, values_)                                                  \
    {.kind = METRIC_COUNTER,                                                                       \
     .name = #name_,                                                                               \
     .help = (help_),                                                                              \
     .label_name = (label_),                                                                       \
     .label_values = (values_)},
#define GAUGE(name_, help_) {.kind = METRIC_GAUGE, .name = #name_, .help = (help_)},
#define GAUGE_BY(name_, help_, label_, values_)                                                    \
    {.kind = METRIC_GAUGE,                                                                         \
     .name = #name_,                                                                               \
     .help = (help_),                                                                              \
     .label_name = (label_),                                                                       \
     .label_values = (values_)},
#define HISTOGRAM(name_, help_, buckets_)                                                          \
    {.kind = METRIC_HISTOGRAM, .name = #name_, .help = (help_), .buckets = (buckets_)},
static const struct metric_row rows[] = {
#include "metrics.def"
};
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef GAUGE_BY
#undef HISTOGRAM

static struct metrics *table; /* set once, before the loop threads start */

bool gateway_metrics_open(uint32_t partition_count)
{
    assert(partition_count <= GATEWAY_PARTITIONS_MAX);
    for (uint32_t i = 0; i < partition_count; i++) {
        (void)snprintf(partition_texts[i], sizeof(partition_texts[i]), "%u", i);
        partition_names[i] = partition_texts[i];
    }
    if (table == NULL)
        table = metrics_new(rows, sizeof(rows) / sizeof(rows[0]));
    return table != NULL;
}

void gateway_count(enum gateway_metric metric, int64_t amount)
{
    if (table != NULL)
        metrics_add(table, metric, amount);
}

void gateway_count_by(enum gateway_metric metric, size_t label, int64_t amount)
{
    if (table != NULL)
        metrics_add_by(table, metric, label, amount);
}

void gateway_set(enum gateway_metric metric, double value)
{
    if (table != NULL)
        metrics_set(table, metric, value);
}

void gateway_set_by(enum gateway_metric metric, size_t label, double value)
{
    if (table != NULL)
        metrics_set_by(table, metric, label, value);
}

void gateway_observe(enum gateway_metric metric, double value)
{
    if (table != NULL)
        metrics_observe(table, metric, value);
}
