#include "query.h"

#include "answers.h"
#include "base/auto.h"
#include "board.h"
#include "query_pool.h"

#include <stdlib.h>
#include <string.h>

enum { CLOSE_TURN_MS = 10 };

struct query *query_new(h2o_context_t *h2o, const struct query_options *options, struct error *err)
{
    AUTO(query_close) struct query *query = calloc(1, sizeof(*query));

    if (query == NULL) {
        error_set(err, ERROR_LIMIT, "query: no memory");
        return NULL;
    }
    query->options = *options;
    query->h2o = h2o;
    h2o_multithread_register_receiver(h2o->queue, &query->receiver, query_pool_receive);
    query->redis = redis_nodes_new(h2o, &options->redis, options->partitions);
    query->answers = answers_new(query);
    query->boards = boards_new(query);
    if (query->redis == NULL || query->answers == NULL || query->boards == NULL) {
        error_set(err, ERROR_LIMIT, "query: no memory");
        return NULL;
    }
    return TAKE(query);
}

void query_close(struct query **query)
{
    struct query *self = *query;

    if (self == NULL)
        return;
    /* Transactions fail now. What PostgreSQL's threads still have, the drain was too short for. */
    if (self->asks > 0 && self->options.pool != NULL) {
        query_pool_stop(self->options.pool);
        query_pool_stop(self->options.proof_pool);
    }
    self->options.pool = self->options.proof_pool = NULL;
    redis_nodes_close(&self->redis); /* ask_start refuses from now on */
    while (self->asks > 0)
        (void)h2o_evloop_run(self->h2o->loop, CLOSE_TURN_MS);
    boards_free(&self->boards);
    answers_free(&self->answers);
    h2o_multithread_unregister_receiver(self->h2o->queue, &self->receiver);
    catalogue_drop(&self->catalogue);
    free(self->known);
    free(self);
    *query = NULL;
}

/* What was known of the old snapshot's ads is learnt again: one more round trip each. */
static void follow_catalogue(struct query *self, const struct catalogue_snapshot *catalogue)
{
    struct counters_known *known = NULL;

    if (self->catalogue == catalogue)
        return;
    known = calloc(catalogue_count(catalogue) + 1, sizeof(*known));
    if (known == NULL)
        return; /* the old snapshot serves until there is memory */
    catalogue_drop(&self->catalogue);
    free(self->known);
    self->catalogue = catalogue_hold(catalogue);
    self->known = known;
}

void query_set_clocks(struct query *query, int64_t now_ms, int64_t at_ms)
{
    query->now_ms = now_ms;
    query->at_ms = at_ms;
}

void query_turn(struct query *query, const struct catalogue_snapshot *catalogue, int64_t now_ms,
                int64_t at_ms)
{
    query_set_clocks(query, now_ms, at_ms);
    follow_catalogue(query, catalogue);
    redis_nodes_turn(query->redis, now_ms);
    boards_turn(query->boards, now_ms);
}

bool query_is_idle(const struct query *query)
{
    return query->asks == 0;
}

bool query_redis_is_up(const struct query *query)
{
    return redis_nodes_is_up(query->redis);
}

struct counters_known *query_known(struct query *query, const char *ad_id)
{
    const struct ad *ad = catalogue_find(query->catalogue, ad_id, strlen(ad_id));

    return ad == NULL ? NULL : &query->known[catalogue_index(query->catalogue, ad)];
}
