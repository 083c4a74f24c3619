#include "http/http_metrics.h"

#include "base/auto.h"
#include "http/route_table.h"
#include "runtime/metrics.h"
#include <stdio.h>

enum { LABEL_MAX = 160, ROUTE_MAX = 120 };

/* The includes below are not sorted: each table stands between what it means and its end. */
enum http_metric {
/* clang-format off */
#include "runtime/metrics_ids.h"
#include "http/metrics.def"
#include "runtime/metrics_end.h"
    /* clang-format on */
    HTTP_METRIC_COUNT,
};

/* Index is the status divided by 100; 1xx is no answer of ours. */
static const char *const class_names[] = {"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"};
enum { CLASS_COUNT = sizeof(class_names) / sizeof(class_names[0]) };

struct http_metrics {
    struct metrics *metrics; /* owned; reads the rows below */
    struct metric_row rows[HTTP_METRIC_COUNT];
    size_t label_count;
    char (*labels)[LABEL_MAX]; /* owned: path * CLASS_COUNT + class */
    const char **label_values; /* owned; points into labels, ends with NULL */
    size_t route_count;
    char (*routes)[ROUTE_MAX]; /* owned: the templates, and "none" behind them */
    const char **route_values; /* owned; points into routes, ends with NULL */
};

static const struct metric_row row_templates[HTTP_METRIC_COUNT] = {
/* clang-format off */
#include "runtime/metrics_rows.h"
#include "http/metrics.def"
#include "runtime/metrics_end.h"
    /* clang-format on */
};

static void write_labels(struct http_metrics *self, const struct route_table *table);

struct http_metrics *http_metrics_new(const struct route_table *table, struct error *err)
{
    AUTO(http_metrics_free) struct http_metrics *self = calloc(1, sizeof(*self));

    if (self != NULL) {
        self->route_count = route_table_path_count(table) + 1;
        self->label_count = self->route_count * CLASS_COUNT;
        self->routes = calloc(self->route_count, sizeof(*self->routes));
        self->route_values = calloc(self->route_count + 1, sizeof(*self->route_values));
        self->labels = calloc(self->label_count, sizeof(*self->labels));
        self->label_values = calloc(self->label_count + 1, sizeof(*self->label_values));
    }
    if (self == NULL || self->labels == NULL || self->label_values == NULL ||
        self->routes == NULL || self->route_values == NULL) {
        error_set(err, ERROR_LIMIT, "http: no memory for its metrics");
        return NULL;
    }
    write_labels(self, table);
    for (size_t i = 0; i < HTTP_METRIC_COUNT; i++)
        self->rows[i] = row_templates[i];
    self->rows[METRIC_http_requests_total].label_values = self->label_values;
    self->rows[METRIC_http_request_seconds].label_values = self->route_values;
    self->metrics = metrics_new(self->rows, HTTP_METRIC_COUNT);
    if (self->metrics == NULL) {
        error_set(err, ERROR_LIMIT, "http: no memory for its metrics");
        return NULL;
    }
    return TAKE(self);
}

void http_metrics_free(struct http_metrics **metrics)
{
    if (*metrics == NULL)
        return;
    metrics_free(&(*metrics)->metrics);
    free((*metrics)->labels);
    free((void *)(*metrics)->label_values);
    free((*metrics)->routes);
    free((void *)(*metrics)->route_values);
    free(*metrics);
    *metrics = NULL;
}

static void write_labels(struct http_metrics *self, const struct route_table *table)
{
    for (size_t i = 0; i < self->route_count; i++) {
        snprintf(self->routes[i], ROUTE_MAX, "%s",
                 i + 1 < self->route_count ? route_table_get_path(table, i)->text : "none");
        self->route_values[i] = self->routes[i];
    }
    for (size_t i = 0; i < self->label_count; i++) {
        snprintf(self->labels[i], LABEL_MAX, "route=\"%s\",code=\"%s\"",
                 self->routes[i / CLASS_COUNT], class_names[i % CLASS_COUNT]);
        self->label_values[i] = self->labels[i];
    }
}

static size_t label_of(size_t path_index, int status)
{
    const int class = status / 100;

    return path_index * CLASS_COUNT + (class >= 0 && class < CLASS_COUNT ? (size_t) class : 0);
}

void http_metrics_answered(struct http_metrics *metrics, size_t path_index, int status,
                           int64_t took_us)
{
    metrics_add_by(metrics->metrics, METRIC_http_requests_total, label_of(path_index, status), 1);
    if (took_us >= 0)
        metrics_observe_by(metrics->metrics, METRIC_http_request_seconds, path_index,
                           (double)took_us / 1e6);
}

void http_metrics_refused(struct http_metrics *metrics)
{
    metrics_add(metrics->metrics, METRIC_http_connections_refused_total, 1);
}

void http_metrics_set_connections(struct http_metrics *metrics, int open, int max)
{
    metrics_set(metrics->metrics, METRIC_http_connections, open);
    metrics_set(metrics->metrics, METRIC_http_connections_max, max);
}
