#include "clients/clients_metrics.h"

#include "runtime/metrics.h"

#include <pthread.h>

/* In the order of enum error_kind. */
static const char *const result_names[] = {"ok",        "invalid",  "limit", "unavailable",
                                           "uncertain", "internal", NULL};

/* Pairs of labels in the order of enum guard_dependency and then of the breaker's enum. */
#define EACH_DEPENDENCY(pairs_)    pairs_("nats"), pairs_("postgres"), pairs_("redis"), NULL
#define STATE(dependency_, state_) "dependency=\"" dependency_ "\",state=\"" state_ "\""
#define STATES(dependency_)                                                                        \
    STATE(dependency_, "closed"), STATE(dependency_, "open"), STATE(dependency_, "half_open")
#define CALL(dependency_, result_) "dependency=\"" dependency_ "\",result=\"" result_ "\""
#define CALLS(dependency_)                                                                         \
    CALL(dependency_, "success"), CALL(dependency_, "failure"),                                    \
        CALL(dependency_, "connect_failure"), CALL(dependency_, "configuration")
#define CHANGE(dependency_, from_, to_, reason_)                                                   \
    "dependency=\"" dependency_ "\",from=\"" from_ "\",to=\"" to_ "\",reason=\"" reason_ "\""
#define CHANGES(dependency_)                                                                       \
    CHANGE(dependency_, "closed", "open", "failed"),                                               \
        CHANGE(dependency_, "closed", "open", "slow"),                                             \
        CHANGE(dependency_, "closed", "open", "connect"),                                          \
        CHANGE(dependency_, "closed", "open", "configuration"),                                    \
        CHANGE(dependency_, "open", "half_open", "cooldown"),                                      \
        CHANGE(dependency_, "open", "half_open", "reconnect"),                                     \
        CHANGE(dependency_, "half_open", "open", "trial"),                                         \
        CHANGE(dependency_, "half_open", "open", "expired"),                                       \
        CHANGE(dependency_, "half_open", "closed", "recovered")

static const char *const breaker_dependencies[] = {"nats", "postgres", "redis", NULL};
static const char *const breaker_states[] = {EACH_DEPENDENCY(STATES)};
static const char *const breaker_calls[] = {EACH_DEPENDENCY(CALLS)};
static const char *const breaker_changes[] = {EACH_DEPENDENCY(CHANGES)};

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

void clients_count_by(enum clients_metric metric, size_t label, int64_t amount)
{
    pthread_once(&once, on_first_use);
    if (table != NULL)
        metrics_add_by(table, metric, label, amount);
}

void clients_count_result(enum clients_metric metric, enum error_kind result)
{
    pthread_once(&once, on_first_use);
    if (table != NULL)
        metrics_add_by(table, metric, (size_t)result, 1);
}
