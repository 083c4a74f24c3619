#include "ask.h"

#include "metrics.h"
#include "query.h"
#include "query_sql.h"

enum { ROUNDS_MAX = 3 }; /* a series, or the next day, may turn up between two rounds */

static bool ask_redis(struct ask *self, const struct counters_known *known, struct error *err);
static void on_replies(void *ctx, redisReply *const *replies, size_t count,
                       const struct error *error);
static bool ask_postgres(struct ask *self, struct error *err);
static void on_rows(struct query_job *job);

static struct counters_question question_of(const struct counters_plan *plan)
{
    return (struct counters_question){.ad_id = plan->ad_id,
                                      .partition = plan->partition,
                                      .end_s = plan->end_s,
                                      .window_s = plan->window_s,
                                      .today = plan->today};
}

bool ask_start(struct ask *ask, struct query *query, const struct counters_question *question,
               struct error *err)
{
    static const struct counters_known nothing;
    const struct counters_known *known = query_known(query, question->ad_id);

    if (query->redis == NULL)
        return error_set(err, ERROR_UNAVAILABLE, "query: closing");
    ask->query = query;
    ask->batch =
        (struct redis_batch){.done = on_replies, .ctx = ask, .partition = question->partition};
    ask->rounds = 0;
    counters_make_plan(&ask->plan, question, known == NULL ? &nothing : known);
    /* A full queue is our own limit: PostgreSQL must not be asked what is too much for Redis. */
    if (!ask_redis(ask, &ask->plan.known, err) &&
        (err->kind == ERROR_LIMIT || !ask_postgres(ask, err)))
        return false;
    query->asks++;
    return true;
}

static void finish(struct ask *self, const struct ask_result *result, const struct error *error)
{
    self->query->asks--;
    self->done(self->ctx, result, error);
}

static bool ask_redis(struct ask *self, const struct counters_known *known, struct error *err)
{
    struct redis_loop *redis = redis_nodes_find(self->query->redis, self->plan.partition);

    if (self->rounds++ > 0) {
        struct counters_plan before = self->plan; /* the question points into it */
        struct counters_question question = question_of(&before);

        counters_make_plan(&self->plan, &question, known);
    }
    if (!redis_loop_begin(redis, self->query->now_ms, err))
        return false;
    (void)counters_emit(&self->plan, redis_loop_command, redis); /* the callback tells */
    redis_loop_commit(redis, &self->batch, self->query->now_ms);
    gateway_count(GATEWAY_redis_queries_total, 1);
    return true;
}

/* Zeros of a Redis that has lost its memory are no numbers. */
static bool read_replies(const struct counters_plan *plan, redisReply *const *replies, size_t count,
                         struct counters_reading *out, struct error *err)
{
    if (!counters_fold(plan, replies, count, out, err))
        return false;
    return out->is_usable ||
           error_set(err, ERROR_UNAVAILABLE, "redis: the counters are being rebuilt");
}

static void on_replies(void *ctx, redisReply *const *replies, size_t count,
                       const struct error *error)
{
    struct ask *self = ctx;
    struct error err = *error;
    struct ask_result result = {.is_from_postgres = false};
    struct counters_known *known = NULL;

    if (replies == NULL || !read_replies(&self->plan, replies, count, &result.reading, &err)) {
        gateway_count(GATEWAY_redis_failures_total, 1);
        if (!ask_postgres(self, &err))
            finish(self, NULL, &err);
        return;
    }
    known = query_known(self->query, self->plan.ad_id);
    if (known != NULL)
        *known = result.reading.known;
    if (result.reading.is_complete || self->rounds == ROUNDS_MAX) {
        finish(self, &result, NULL);
        return;
    }
    if (!ask_redis(self, &result.reading.known, &err) && !ask_postgres(self, &err))
        finish(self, NULL, &err);
}

static bool ask_postgres(struct ask *self, struct error *err)
{
    if (self->query->options.pool == NULL || self->is_redis_only)
        return false; /* err says what was wrong with Redis */
    self->numbers = (struct ad_numbers){0};
    self->job = (struct query_job){.run = query_sql_read,
                                   .numbers = &self->numbers,
                                   .done = on_rows,
                                   .ctx = self,
                                   .receiver = &self->query->receiver,
                                   .question = question_of(&self->plan)};
    if (!query_pool_submit(self->query->options.pool, &self->job, err))
        return false;
    gateway_count(GATEWAY_postgres_queries_total, 1);
    return true;
}

static void on_rows(struct query_job *job)
{
    struct ask *self = job->ctx;
    struct ask_result result = {
        .is_from_postgres = true,
        .reading = {.numbers = self->numbers, .fresh_ms = job->fresh_ms},
    };

    if (job->result.kind == ERROR_NONE)
        finish(self, &result, NULL);
    else
        finish(self, NULL, &job->result);
}
