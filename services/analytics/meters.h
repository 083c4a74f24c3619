/*
 * meters.h — the rows of metrics.def, as ids and as a table
 */
#pragma once

#include "runtime/metrics.h"

/* A worker a partition has a beat in struct service, and a label in the table. */
enum { PARTITIONS_MAX = 32 };

enum meter {
#include "runtime/metrics_ids.h"

#include "metrics.def"

#include "runtime/metrics_end.h"
    METRIC_COUNT,
};

/* The process's table; called once, before any other thread. NULL: no memory. */
struct metrics *meters_new(void);
