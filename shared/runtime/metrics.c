#include "runtime/metrics.h"

#include "base/auto.h"
#include "runtime/metrics_table.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE = 64, CELLS_PER_LINE = CACHE_LINE / sizeof(metric_cell) };
enum { PAGE_MAX = 16 << 20 /* a page of metrics past it is a mistake, not a page */ };

const double metric_buckets_latency[] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 0,
};
const double metric_buckets_age[] = {
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 0,
};
const double metric_buckets_size[] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 0,
};

/* Every table of the process, in the order of their making. */
static struct {
    pthread_mutex_t lock;
    struct metrics *first;
} tables = {PTHREAD_MUTEX_INITIALIZER, NULL};

size_t metrics_label_count(const struct metric_row *row)
{
    size_t count = 0;

    if (row->label_name == NULL)
        return 1;
    while (row->label_values[count] != NULL)
        count++;
    return count;
}

size_t metrics_bucket_count(const struct metric_row *row)
{
    size_t count = 0;

    while (row->buckets != NULL && row->buckets[count] > 0)
        count++;
    return count;
}

size_t metrics_cells_per_label(const struct metric_row *row)
{
    return row->kind == METRIC_HISTOGRAM ? metrics_bucket_count(row) + 2 : 1;
}

/* Lays the rows out one after the other and rounds a shard up to whole cache lines. */
static void lay_out(struct metrics *metrics)
{
    size_t cells = 0;

    for (size_t i = 0; i < metrics->row_count; i++) {
        const struct metric_row *row = &metrics->rows[i];

        metrics->first_cells[i] = cells;
        cells += metrics_label_count(row) * metrics_cells_per_label(row);
    }
    metrics->first_cells[metrics->row_count] = cells;
    metrics->shard_cells = (cells / CELLS_PER_LINE + 1) * CELLS_PER_LINE;
}

static void join_list(struct metrics *metrics)
{
    struct metrics **end = &tables.first;

    (void)pthread_mutex_lock(&tables.lock);
    while (*end != NULL)
        end = &(*end)->next;
    *end = metrics;
    (void)pthread_mutex_unlock(&tables.lock);
}

static void leave_list(const struct metrics *metrics)
{
    struct metrics **link = &tables.first;

    (void)pthread_mutex_lock(&tables.lock);
    while (*link != NULL && *link != metrics)
        link = &(*link)->next;
    if (*link != NULL)
        *link = metrics->next;
    (void)pthread_mutex_unlock(&tables.lock);
}

struct metrics *metrics_new(const struct metric_row *rows, size_t row_count)
{
    AUTO(metrics_free) struct metrics *metrics = calloc(1, sizeof(*metrics));
    size_t size_bytes = 0;

    if (metrics == NULL)
        return NULL;
    metrics->rows = rows;
    metrics->row_count = row_count;
    metrics->first_cells = calloc(row_count + 1, sizeof(*metrics->first_cells));
    if (metrics->first_cells == NULL)
        return NULL;
    lay_out(metrics);
    size_bytes = METRIC_SHARDS * metrics->shard_cells * sizeof(metric_cell);
    metrics->cells = aligned_alloc(CACHE_LINE, size_bytes);
    if (metrics->cells == NULL)
        return NULL;
    memset(metrics->cells, 0, size_bytes); /* all bits zero is 0 and 0.0 */
    join_list(metrics);
    return TAKE(metrics);
}

void metrics_free(struct metrics **metrics)
{
    struct metrics *owned = TAKE(*metrics);

    if (owned == NULL)
        return;
    leave_list(owned);
    free(owned->cells);
    free(owned->first_cells);
    free(owned);
}

/* Threads take turns at the shards; up to METRIC_SHARDS of them share with nobody. */
static size_t own_shard(void)
{
    static _Atomic size_t threads;
    static _Thread_local size_t shard = METRIC_SHARDS;

    if (shard == METRIC_SHARDS)
        shard = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % METRIC_SHARDS;
    return shard;
}

static metric_cell *find_cell(const struct metrics *metrics, size_t shard, size_t row, size_t label,
                              size_t per_label)
{
    assert(row < metrics->row_count &&
           metrics->first_cells[row] + (label + 1) * per_label <= metrics->first_cells[row + 1]);
    return metrics->cells + shard * metrics->shard_cells + metrics->first_cells[row] +
           label * per_label;
}

static double real_of(uint64_t bits)
{
    double value = 0;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits = 0;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static void add_real(metric_cell *cell, double amount)
{
    uint64_t seen = atomic_load_explicit(cell, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(cell, &seen, bits_of(real_of(seen) + amount),
                                                  memory_order_relaxed, memory_order_relaxed))
        ; /* seen is the newer value now */
}

void metrics_add(struct metrics *metrics, size_t row, int64_t amount)
{
    metrics_add_by(metrics, row, 0, amount);
}

void metrics_add_by(struct metrics *metrics, size_t row, size_t label, int64_t amount)
{
    assert(metrics->rows[row].kind != METRIC_HISTOGRAM);
    if (metrics->rows[row].kind == METRIC_GAUGE)
        add_real(find_cell(metrics, 0, row, label, 1), (double)amount);
    else
        (void)atomic_fetch_add_explicit(find_cell(metrics, own_shard(), row, label, 1),
                                        (uint64_t)amount, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, size_t row, double value)
{
    metrics_set_by(metrics, row, 0, value);
}

void metrics_set_by(struct metrics *metrics, size_t row, size_t label, double value)
{
    assert(metrics->rows[row].kind == METRIC_GAUGE);
    atomic_store_explicit(find_cell(metrics, 0, row, label, 1), bits_of(value),
                          memory_order_relaxed);
}

void metrics_observe(struct metrics *metrics, size_t row, double value)
{
    metrics_observe_by(metrics, row, 0, value);
}

void metrics_observe_by(struct metrics *metrics, size_t row, size_t label, double value)
{
    const double *bounds = metrics->rows[row].buckets;
    size_t count = metrics_bucket_count(&metrics->rows[row]);
    metric_cell *cells = find_cell(metrics, own_shard(), row, label, count + 2);
    size_t bucket = 0;

    assert(metrics->rows[row].kind == METRIC_HISTOGRAM);
    while (bucket < count && value > bounds[bucket])
        bucket++;
    (void)atomic_fetch_add_explicit(&cells[bucket], 1, memory_order_relaxed);
    add_real(&cells[count + 1], value);
}

uint64_t metrics_sum(const struct metrics *metrics, size_t row, size_t label, size_t cell)
{
    size_t per_label = metrics_cells_per_label(&metrics->rows[row]);
    uint64_t sum = 0;

    for (size_t shard = 0; shard < METRIC_SHARDS; shard++)
        sum += atomic_load_explicit(find_cell(metrics, shard, row, label, per_label) + cell,
                                    memory_order_relaxed);
    return sum;
}

double metrics_sum_real(const struct metrics *metrics, size_t row, size_t label, size_t cell)
{
    size_t per_label = metrics_cells_per_label(&metrics->rows[row]);
    double sum = 0;

    for (size_t shard = 0; shard < METRIC_SHARDS; shard++)
        sum += real_of(atomic_load_explicit(find_cell(metrics, shard, row, label, per_label) + cell,
                                            memory_order_relaxed));
    return sum;
}

int64_t metrics_count(const struct metrics *metrics, size_t row, size_t label)
{
    const struct metric_row *shape = &metrics->rows[row];
    size_t buckets = metrics_bucket_count(shape);
    uint64_t sum = 0;

    if (shape->kind == METRIC_GAUGE)
        return (int64_t)metrics_sum_real(metrics, row, label, 0);
    for (size_t i = 0; i < buckets + 1; i++) /* a counter is its own only cell */
        sum += metrics_sum(metrics, row, label, i);
    return (int64_t)sum;
}

char *metrics_render(size_t *out_size_bytes)
{
    AUTO(text_free) struct text page;

    text_init(&page, PAGE_MAX);
    (void)pthread_mutex_lock(&tables.lock); /* no table goes away meanwhile */
    for (const struct metrics *table = tables.first; table != NULL; table = table->next)
        metrics_add_table(&page, table);
    (void)pthread_mutex_unlock(&tables.lock);
    metrics_add_process(&page);
    return text_take(&page, out_size_bytes);
}
