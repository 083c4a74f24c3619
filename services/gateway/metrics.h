/*
 * metrics.h — what the gateway counts: a function for each kind of row in metrics.def
 *
 * Errors:  none. Before gateway_metrics_open, and in unit tests, nothing is counted.
 * Threads: any, once gateway_metrics_open has returned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gateway_metric {
#define COUNTER(name, help)                   GATEWAY_##name,
#define COUNTER_BY(name, help, label, values) GATEWAY_##name,
#define GAUGE(name, help)                     GATEWAY_##name,
#define GAUGE_BY(name, help, label, values)   GATEWAY_##name,
#define HISTOGRAM(name, help, buckets)        GATEWAY_##name,
#include "metrics.def"
#undef COUNTER
#undef COUNTER_BY
#undef GAUGE
#undef GAUGE_BY
#undef HISTOGRAM
    GATEWAY_METRIC_COUNT,
};

enum { GATEWAY_PARTITIONS_MAX = 64 };

/* False: no memory. The table lives as long as the process. */
bool gateway_metrics_open(uint32_t partition_count);

void gateway_count(enum gateway_metric metric, int64_t amount);
void gateway_count_by(enum gateway_metric metric, size_t label, int64_t amount);
void gateway_set(enum gateway_metric metric, double value);
void gateway_set_by(enum gateway_metric metric, size_t label, double value);
void gateway_observe(enum gateway_metric metric, double value);
