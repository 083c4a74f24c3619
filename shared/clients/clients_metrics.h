/*
 * clients_metrics.h — what the clients layer counts
 *
 * Why:     every service uses these clients, so they count for themselves in a table of their own,
 *          which the process's /metrics shows beside the service's.
 * Errors:  none; without memory for the table nothing is counted.
 * Threads: any.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* The includes below are not sorted: the table stands between what it means and its end. */
enum clients_metric {
/* clang-format off */
#include "runtime/metrics_ids.h"
#include "clients/metrics.def"
#include "runtime/metrics_end.h"
    /* clang-format on */
    CLIENTS_METRIC_COUNT
};

void clients_count(enum clients_metric metric, int64_t amount);

void clients_count_by(enum clients_metric metric, size_t label, int64_t amount);

/* Counts one call under its result; ERROR_NONE is "ok". */
void clients_count_result(enum clients_metric metric, enum error_kind result);
