/*
 * metrics.h — counters, gauges and histograms, in Prometheus's text format
 *
 * A service lists its metrics in metrics.def; each row becomes an id and a line of its table:
 *
 *   COUNTER(clicks_stored_total, "rows committed")
 *   GAUGE(batches_inflight, "batches that wait for their ack")
 *   HISTOGRAM(store_seconds, "one transaction, from begin to commit", METRIC_BUCKETS_LATENCY)
 *   COUNTER_BY(events_total, "events accepted", "type", event_type_names)   one label, closed set
 *
 * and also GAUGE_BY(name, help, label, values), HISTOGRAM_BY(name, help, label, values, buckets).
 * runtime/metrics_ids.h and runtime/metrics_rows.h say what the rows become:
 *
 *   enum metric {
 *   #include "runtime/metrics_ids.h"
 *   #include "metrics.def"
 *   #include "runtime/metrics_end.h"
 *       METRIC_COUNT,
 *   };                                                     METRIC_clicks_stored_total, ...
 *   static const struct metric_row rows[METRIC_COUNT] = {
 *   #include "runtime/metrics_rows.h"
 *   #include "metrics.def"
 *   #include "runtime/metrics_end.h"
 *   };
 *
 * A library layer that counts (http, clients) has a table of its own; all tables of the process are
 * rendered together. Exposed names get the prefix "adledger_". Labels are closed sets known at
 * start: an ad id is never a label. More than one label is the closed set of their pairs: the label
 * name METRIC_PAIRS, and values that read `route="/metrics",code="2xx"`.
 *
 * Threads: any; updates are relaxed atomics on one of METRIC_SHARDS copies, so that two threads
 *          seldom touch one cache line. Rendering reads without stopping anyone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { METRIC_SHARDS = 8 };

#define METRIC_PAIRS "" /* the label values are ready-made pairs, escaped by their owner */

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_row {
    enum metric_kind kind;
    const char *name; /* without the prefix */
    const char *help;
    const char *label_name;          /* NULL: no label */
    const char *const *label_values; /* NULL-terminated; the closed set */
    const double *buckets;           /* histograms: upper bounds, ascending, ends with 0 */
};

extern const double metric_buckets_latency[]; /* 0.5 ms to 10 s */
extern const double metric_buckets_size[];    /* 1 to 16,384 */
extern const double metric_buckets_age[];     /* 10 ms to an hour */
#define METRIC_BUCKETS_LATENCY metric_buckets_latency
#define METRIC_BUCKETS_SIZE    metric_buckets_size
#define METRIC_BUCKETS_AGE     metric_buckets_age

struct metrics;

/* A table; rows is borrowed for ever. It joins the process's list until metrics_free. NULL: no
 * memory. */
struct metrics *metrics_new(const struct metric_row *rows, size_t row_count);
void metrics_free(struct metrics **metrics);

void metrics_add(struct metrics *metrics, size_t row, int64_t amount); /* counter, gauge */
void metrics_add_by(struct metrics *metrics, size_t row, size_t label,
                    int64_t amount);                                 /* counter, gauge */
void metrics_set(struct metrics *metrics, size_t row, double value); /* gauge */
void metrics_set_by(struct metrics *metrics, size_t row, size_t label, double value);
void metrics_observe(struct metrics *metrics, size_t row, double value); /* histogram */
void metrics_observe_by(struct metrics *metrics, size_t row, size_t label, double value);

/* Reads back: a counter's count, a gauge's value cut to an integer, a histogram's observations. */
int64_t metrics_count(const struct metrics *metrics, size_t row, size_t label);

/* What adledger_service_ready shows: true while the process may get traffic. */
void metrics_set_ready(bool is_ready);

/* All tables of the process, process metrics and build info included; heap text owned by the
 * caller. NULL: no memory. */
char *metrics_render(size_t *out_size_bytes);
