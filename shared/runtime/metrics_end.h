/*
 * metrics_end.h — ends what metrics_ids.h or metrics_rows.h began
 *
 * No include guard: it stands behind every metrics.def.
 */
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
#undef COUNTER_BY
#undef GAUGE_BY
#undef HISTOGRAM_BY
