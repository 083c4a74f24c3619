#include "meters.h"

#include "event/event.h"

/* The closed set of PARTITIONS_MAX labels; those beyond PARTITIONS stay at 0. */
static const char *const partition_names[PARTITIONS_MAX + 1] = {
    "0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",  "10", "11", "12", "13", "14", "15",
    "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
    "32", "33", "34", "35", "36", "37", "38", "39", "40", "41", "42", "43", "44", "45", "46", "47",
    "48", "49", "50", "51", "52", "53", "54", "55", "56", "57", "58", "59", "60", "61", "62", "63"};

static const struct metric_row rows[METRIC_COUNT] = {
#include "runtime/metrics_rows.h"

#include "metrics.def"

#include "runtime/metrics_end.h"
};

struct metrics *meters_new(void)
{
    return metrics_new(rows, METRIC_COUNT);
}
