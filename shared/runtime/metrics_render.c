/* Prometheus's text format, version 0.0.4. */
#include "runtime/metrics_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 120 };

/* Help texts and label values are one line; only label values escape the quote. */
static void add_escaped(struct text *out, const char *text, bool is_label)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            text_add_str(out, "\\n");
        else if (*text == '\\' || (is_label && *text == '"'))
            text_addf(out, "\\%c", *text);
        else
            text_add_char(out, *text);
    }
}

void metrics_add_head(struct text *out, const char *name, const char *type, const char *help)
{
    text_addf(out, "# HELP %s ", name);
    add_escaped(out, help, false);
    text_addf(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_add_value(struct text *out, double value)
{
    char digits[40];

    if (isnan(value))
        text_add_str(out, "NaN");
    else if (isinf(value))
        text_add_str(out, value > 0 ? "+Inf" : "-Inf");
    else {
        (void)snprintf(digits, sizeof(digits), "%.15g", value);
        if (strtod(digits, NULL) != value)
            (void)snprintf(digits, sizeof(digits), "%.17g", value);
        text_add_str(out, digits);
    }
}

/* The label's pair, without braces: nothing, type="click", or ready-made pairs. */
static void add_label(struct text *out, const struct metric_row *row, size_t label)
{
    if (row->label_name == NULL)
        return;
    if (row->label_name[0] == '\0') {
        text_add_str(out, row->label_values[label]);
        return;
    }
    text_addf(out, "%s=\"", row->label_name);
    add_escaped(out, row->label_values[label], true);
    text_add_char(out, '"');
}

/* name_suffix{labels}, ready for the value. */
static void add_series(struct text *out, const struct metric_row *row, size_t label,
                       const char *suffix)
{
    text_addf(out, "adledger_%s%s", row->name, suffix);
    if (row->label_name != NULL) {
        text_add_char(out, '{');
        add_label(out, row, label);
        text_add_char(out, '}');
    }
    text_add_char(out, ' ');
}

static void add_bucket(struct text *out, const struct metric_row *row, size_t label, double bound)
{
    text_addf(out, "adledger_%s_bucket{", row->name);
    if (row->label_name != NULL) {
        add_label(out, row, label);
        text_add_char(out, ',');
    }
    text_add_str(out, "le=\"");
    metrics_add_value(out, bound);
    text_add_str(out, "\"} ");
}

static void add_histogram(struct text *out, const struct metrics *metrics, size_t row, size_t label)
{
    const struct metric_row *shape = &metrics->rows[row];
    size_t buckets = metrics_bucket_count(shape);
    uint64_t so_far = 0; /* Prometheus's buckets hold all that is at or below their bound */

    for (size_t i = 0; i <= buckets; i++) {
        so_far += metrics_sum(metrics, row, label, i);
        add_bucket(out, shape, label, i < buckets ? shape->buckets[i] : INFINITY);
        text_addf(out, "%" PRIu64 "\n", so_far);
    }
    add_series(out, shape, label, "_sum");
    metrics_add_value(out, metrics_sum_real(metrics, row, label, buckets + 1));
    text_add_char(out, '\n');
    add_series(out, shape, label, "_count");
    text_addf(out, "%" PRIu64 "\n", so_far); /* not read again: it must equal the last bucket */
}

static void add_single(struct text *out, const struct metrics *metrics, size_t row, size_t label)
{
    const struct metric_row *shape = &metrics->rows[row];

    add_series(out, shape, label, "");
    if (shape->kind == METRIC_COUNTER)
        text_addf(out, "%" PRIu64, metrics_sum(metrics, row, label, 0));
    else
        metrics_add_value(out, metrics_sum_real(metrics, row, label, 0));
    text_add_char(out, '\n');
}

void metrics_add_table(struct text *out, const struct metrics *metrics)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    for (size_t row = 0; row < metrics->row_count; row++) {
        const struct metric_row *shape = &metrics->rows[row];
        size_t labels = metrics_label_count(shape);
        char name[NAME_SIZE];

        (void)snprintf(name, sizeof(name), "adledger_%s", shape->name);
        metrics_add_head(out, name, types[shape->kind], shape->help);
        for (size_t label = 0; label < labels; label++) {
            if (shape->kind == METRIC_HISTOGRAM)
                add_histogram(out, metrics, row, label);
            else
                add_single(out, metrics, row, label);
        }
    }
}
