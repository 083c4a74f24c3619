/*
 * meters.h — the rows of metrics.def, as ids and as a table
 */
#pragma once

#include "runtime/metrics.h"

/* As in the gateway and ingest; each has a worker with a beat in struct service. */
enum { PARTITIONS_MAX = 64 };

enum meter {
#include "runtime/metrics_ids.h"

#include "metrics.def"

#include "runtime/metrics_end.h"
    METRIC_COUNT,
};

/* The process's table; called once, before any other thread. NULL: no memory. */
struct metrics *meters_new(uint32_t partition_count);
