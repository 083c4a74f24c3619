/*
 * http_metrics.h — what the http layer counts: metrics.def
 *
 * Why:     every request is counted by its route's template, never by its path: the labels are a
 *          closed set that is known when the route table is.
 * Memory:  one a server; the route table is borrowed while it is built only.
 * Threads: any.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct http_metrics;
struct route_table;

struct http_metrics *http_metrics_new(const struct route_table *table, struct error *err);
void http_metrics_free(struct http_metrics **metrics);

/* path_index is the route path's, or route_table_path_count for a request that met none; status
 * 0: the client went away unanswered; took_us below 0: it came to no handler, and is not timed. */
void http_metrics_answered(struct http_metrics *metrics, size_t path_index, int status,
                           int64_t took_us);
/* A connection was turned away. */
void http_metrics_refused(struct http_metrics *metrics);
void http_metrics_set_connections(struct http_metrics *metrics, int open, int max);
