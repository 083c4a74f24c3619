/*
 * metrics_rows.h — makes the rows of the metrics.def that follows into struct metric_row
 *
 * No include guard: a table is included as often as something is made of it. Shown in metrics.h.
 */
/* clang-format off: one row a line */
#define COUNTER(name_, help_)             {METRIC_COUNTER, #name_, help_, NULL, NULL, NULL},
#define GAUGE(name_, help_)               {METRIC_GAUGE, #name_, help_, NULL, NULL, NULL},
#define HISTOGRAM(name_, help_, buckets_) {METRIC_HISTOGRAM, #name_, help_, NULL, NULL, buckets_},
#define COUNTER_BY(name_, help_, label_, values_)                                                  \
    {METRIC_COUNTER, #name_, help_, label_, values_, NULL},
#define GAUGE_BY(name_, help_, label_, values_)                                                    \
    {METRIC_GAUGE, #name_, help_, label_, values_, NULL},
#define HISTOGRAM_BY(name_, help_, label_, values_, buckets_)                                      \
    {METRIC_HISTOGRAM, #name_, help_, label_, values_, buckets_},
