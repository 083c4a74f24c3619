/*
 * ingest_metrics.h — what ingest counts: ids and updates over metrics.def
 *
 * Errors:  none once open; before it, and in tests that do not open it, updates do nothing.
 * Threads: opened by main while no other thread runs; updates by any.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum ingest_metric {
/* clang-format off */
#include "runtime/metrics_ids.h"
#include "metrics.def"
#include "runtime/metrics_end.h"
    /* clang-format on */
    METRIC_COUNT,
};

/* How a transaction ended. */
enum ingest_result {
    RESULT_STORED,
    RESULT_LOST,      /* another process had moved the position */
    RESULT_NO_DAY,    /* a day had no tables; they were made */
    RESULT_UNCERTAIN, /* the COMMIT was not answered; the position told later */
    RESULT_FAILED,
    RESULT_COUNT,
};

enum { INGEST_PARTITIONS_MAX = 64 };

MUST_CHECK bool ingest_metrics_open(uint32_t partition_count, struct error *err);

void ingest_count(enum ingest_metric metric, int64_t amount);
void ingest_count_by(enum ingest_metric metric, size_t label, int64_t amount);
void ingest_gauge(enum ingest_metric metric, double value);
void ingest_gauge_by(enum ingest_metric metric, size_t label, double value);
void ingest_observe(enum ingest_metric metric, double value);
