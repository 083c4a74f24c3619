#include "meters.h"

#include "event/event.h"

#include <assert.h>
#include <stdio.h>

/* Filled at the start: only the partitions that there are become series. */
static char partition_texts[PARTITIONS_MAX][4];
static const char *partition_names[PARTITIONS_MAX + 1];

static const struct metric_row rows[METRIC_COUNT] = {
#include "runtime/metrics_rows.h"

#include "metrics.def"

#include "runtime/metrics_end.h"
};

struct metrics *meters_new(uint32_t partition_count)
{
    assert(partition_count <= PARTITIONS_MAX);
    for (uint32_t i = 0; i < partition_count; i++) {
        (void)snprintf(partition_texts[i], sizeof(partition_texts[i]), "%u", i);
        partition_names[i] = partition_texts[i];
    }
    return metrics_new(rows, METRIC_COUNT);
}
