#include "clients/clients_metrics.h"

#include "runtime/metrics.h"

#include <pthread.h>

/* In the order of enum error_kind. */
static const char *const result_names[] = {"ok",        "invalid",  "limit", "unavailable",
                                           "uncertain", "internal", NULL};

static const struct metric_row rows[CLIENTS_METRIC_COUNT] = {
/* clang-format off */
#include "runtime/metrics_rows.h"
#include "clients/metrics.def"
#include "runtime/metrics_end.h"
    /* clang-format on */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct metrics *table; /* for the life of the process */

static void on_first_use(void)
{
    table = metrics_new(rows, CLIENTS_METRIC_COUNT);
}

void clients_count(enum clients_metric metric, int64_t amount)
{
    pthread_once(&once, on_first_use);
    if (table != NULL)
        metrics_add(table, metric, amount);
}

void clients_count_result(enum clients_metric metric, enum error_kind result)
{
    pthread_once(&once, on_first_use);
    if (table != NULL)
        metrics_add_by(table, metric, (size_t)result, 1);
}
