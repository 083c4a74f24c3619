/*
 * metrics_ids.h — makes the rows of the metrics.def that follows into enum constants
 *
 * No include guard: a table is included as often as something is made of it. Shown in metrics.h.
 */
/* clang-format off: one row a line */
#define COUNTER(name_, help_)                                 METRIC_##name_,
#define GAUGE(name_, help_)                                   METRIC_##name_,
#define HISTOGRAM(name_, help_, buckets_)                     METRIC_##name_,
#define COUNTER_BY(name_, help_, label_, values_)             METRIC_##name_,
#define GAUGE_BY(name_, help_, label_, values_)               METRIC_##name_,
#define HISTOGRAM_BY(name_, help_, label_, values_, buckets_) METRIC_##name_,
