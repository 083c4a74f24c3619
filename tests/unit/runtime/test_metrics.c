#include "check.h"

#include "base/auto.h"
#include "runtime/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 20000 };

static const char *const event_types[] = {"click", "impression", NULL};
static const char *const odd_values[] = {"a\"b\\c\nd", NULL};
static const char *const pairs[] = {"route=\"/health\",code=\"2xx\"", NULL};

enum metric {
#include "runtime/metrics_end.h"
#include "runtime/metrics_ids.h"
#include "test_metrics.def"
    METRIC_COUNT
};

static const struct metric_row rows[METRIC_COUNT] = {
#include "runtime/metrics_end.h"
#include "runtime/metrics_rows.h"
#include "test_metrics.def"
};

static struct metrics *table(void)
{
    struct metrics *metrics = metrics_new(rows, METRIC_COUNT);

    assert_non_null(metrics);
    return metrics;
}

static char *page(void)
{
    size_t size = 0;
    char *text = metrics_render(&size);

    assert_non_null(text);
    assert_int_equal(strlen(text), size);
    return text;
}

static void assert_has(const char *text, const char *lines)
{
    if (strstr(text, lines) == NULL)
        fail_msg("missing:\n%s\nin:\n%s", lines, text);
}

TEST(a_new_table_shows_every_series_at_zero)
{
    AUTO(metrics_free) struct metrics *metrics = table();
    AUTO(auto_free) char *text = page();

    assert_has(text, "# HELP adledger_things_total things \\\\ seen\\nso far\n"
                     "# TYPE adledger_things_total counter\n"
                     "adledger_things_total 0\n");
    assert_has(text, "# TYPE adledger_level gauge\nadledger_level 0\n");
    assert_has(text, "adledger_events_total{type=\"click\"} 0\n"
                     "adledger_events_total{type=\"impression\"} 0\n");
    assert_has(text, "adledger_wait_seconds_bucket{le=\"+Inf\"} 0\n"
                     "adledger_wait_seconds_sum 0\n"
                     "adledger_wait_seconds_count 0\n");
}

TEST(counters_add_up_by_label)
{
    AUTO(metrics_free) struct metrics *metrics = table();
    AUTO(auto_free) char *text = NULL;

    metrics_add(metrics, METRIC_things_total, 5);
    metrics_add(metrics, METRIC_things_total, INT64_C(9000000000000000));
    metrics_add_by(metrics, METRIC_events_total, 1, 7);
    metrics_add_by(metrics, METRIC_requests_total, 0, 3);
    assert_int_equal(metrics_count(metrics, METRIC_events_total, 1), 7);
    assert_int_equal(metrics_count(metrics, METRIC_events_total, 0), 0);
    text = page();
    assert_has(text, "\nadledger_things_total 9000000000000005\n");
    assert_has(text, "adledger_events_total{type=\"impression\"} 7\n");
    assert_has(text, "adledger_requests_total{route=\"/health\",code=\"2xx\"} 3\n");
}

TEST(gauges_go_up_and_down)
{
    AUTO(metrics_free) struct metrics *metrics = table();
    AUTO(auto_free) char *text = NULL;

    metrics_set(metrics, METRIC_level, 10);
    metrics_add(metrics, METRIC_level, 5);
    metrics_add(metrics, METRIC_level, -7);
    metrics_set_by(metrics, METRIC_state, 0, 0.1);
    assert_int_equal(metrics_count(metrics, METRIC_level, 0), 8);
    text = page();
    assert_has(text, "\nadledger_level 8\n");
    assert_has(text, "adledger_state{name=\"a\\\"b\\\\c\\nd\"} 0.1\n");
}

TEST(a_histograms_buckets_hold_all_below_their_bound)
{
    AUTO(metrics_free) struct metrics *metrics = table();
    AUTO(auto_free) char *text = NULL;

    metrics_observe(metrics, METRIC_wait_seconds, 0.0005); /* on the bound is inside */
    metrics_observe(metrics, METRIC_wait_seconds, 0.0006);
    metrics_observe(metrics, METRIC_wait_seconds, 0.25);
    metrics_observe(metrics, METRIC_wait_seconds, 100);
    assert_int_equal(metrics_count(metrics, METRIC_wait_seconds, 0), 4);
    text = page();
    assert_has(text, "# TYPE adledger_wait_seconds histogram\n"
                     "adledger_wait_seconds_bucket{le=\"0.0005\"} 1\n"
                     "adledger_wait_seconds_bucket{le=\"0.001\"} 2\n"
                     "adledger_wait_seconds_bucket{le=\"0.0025\"} 2\n");
    assert_has(text, "adledger_wait_seconds_bucket{le=\"10\"} 3\n"
                     "adledger_wait_seconds_bucket{le=\"+Inf\"} 4\n"
                     "adledger_wait_seconds_sum 100.2511\n"
                     "adledger_wait_seconds_count 4\n");
}

TEST(a_histogram_may_have_a_label)
{
    AUTO(metrics_free) struct metrics *metrics = table();
    AUTO(auto_free) char *text = NULL;

    metrics_observe_by(metrics, METRIC_size_things, 1, 3);
    text = page();
    assert_has(text, "adledger_size_things_bucket{type=\"impression\",le=\"2\"} 0\n"
                     "adledger_size_things_bucket{type=\"impression\",le=\"4\"} 1\n");
    assert_has(text, "adledger_size_things_sum{type=\"impression\"} 3\n"
                     "adledger_size_things_count{type=\"impression\"} 1\n");
    assert_has(text, "adledger_size_things_count{type=\"click\"} 0\n");
}

TEST(the_process_tells_of_itself)
{
    AUTO(auto_free) char *text = page();

    assert_has(text, "\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ");
    assert_has(text, "\n# TYPE process_resident_memory_bytes gauge\n");
    assert_has(text, "\nprocess_open_fds ");
    assert_has(text, "\nprocess_max_fds ");
    assert_has(text, "\nprocess_threads 1\n");
    assert_has(text, "\nadledger_build_info{version=\"");
}

/* The value of a sample without labels. */
static double value_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

TEST(the_processs_numbers_are_plausible)
{
    AUTO(auto_free) char *text = page();

    assert_true(value_of(text, "\nprocess_resident_memory_bytes ") > 1e5);
    assert_true(value_of(text, "\nprocess_virtual_memory_bytes ") >
                value_of(text, "\nprocess_resident_memory_bytes "));
    assert_true(value_of(text, "\nprocess_start_time_seconds ") > 1.6e9);
    assert_true(value_of(text, "\nprocess_open_fds ") >= 3);
    assert_true(value_of(text, "\nprocess_cpu_seconds_total ") < 1000);
}

TEST(a_freed_table_leaves_the_page)
{
    struct metrics *metrics = table();

    metrics_free(&metrics);
    assert_null(metrics);
    metrics_free(&metrics);
    {
        AUTO(auto_free) char *text = page();

        assert_null(strstr(text, "things_total"));
    }
}

static void *count_up(void *ctx)
{
    struct metrics *metrics = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        metrics_add(metrics, METRIC_things_total, 1);
        metrics_add(metrics, METRIC_level, i % 2 == 0 ? 1 : -1);
        metrics_observe(metrics, METRIC_wait_seconds, 0.5);
    }
    return NULL;
}

TEST(no_update_of_many_threads_is_lost)
{
    AUTO(metrics_free) struct metrics *metrics = table();
    AUTO(auto_free) char *text = NULL;
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, metrics), 0);
    free(page()); /* rendering at the same time stops nobody */
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(metrics_count(metrics, METRIC_things_total, 0), THREADS * ROUNDS);
    assert_int_equal(metrics_count(metrics, METRIC_level, 0), 0);
    text = page();
    assert_has(text, "adledger_wait_seconds_sum 40000\nadledger_wait_seconds_count 80000\n");
}

TESTS(RUN(a_new_table_shows_every_series_at_zero), RUN(counters_add_up_by_label),
      RUN(gauges_go_up_and_down), RUN(a_histograms_buckets_hold_all_below_their_bound),
      RUN(a_histogram_may_have_a_label), RUN(the_process_tells_of_itself),
      RUN(the_processs_numbers_are_plausible), RUN(a_freed_table_leaves_the_page),
      RUN(no_update_of_many_threads_is_lost))
