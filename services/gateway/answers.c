/*
 * One answer, from the request to the body:
 *
 *   answers_serve  find: fresh -> respond; being asked -> wait; else ask
 *   on_answered    keep the numbers, respond to all who wait
 *
 * An entry is ASKING from ask_start to on_answered, and is never dropped in between.
 */
#include "answers.h"

#include "analytics_json.h"
#include "ask.h"
#include "base/auto.h"
#include "http/respond.h"
#include "metrics.h"
#include "query.h"
#include "query_meta.h"
#include "waiters.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { BUCKETS = 2048, BODY_MAX = 16 * 1024, RETRY_AFTER_S = 1 };

enum answer_state { ASKING, READY };

struct answer {
    h2o_linklist_t age;  /* first: oldest at the front */
    struct answer *next; /* in its bucket */
    uint64_t hash;
    char ad_id[EVENT_AD_ID_MAX + 1];
    char frame[SPEC_FRAME_SIZE];
    char zone[ZONE_NAME_MAX + 1];
    enum answer_state state;
    struct answers *owner;
    struct ask *ask; /* while ASKING */
    struct ad_numbers numbers;
    struct reading_meta meta;
    int64_t read_ms;
    h2o_iovec_t bodies[ANSWER_SHAPES]; /* base NULL: not made yet */
    struct waiters waiters;
};

struct answers {
    struct query *query;
    struct answer *buckets[BUCKETS];
    h2o_linklist_t by_age;
    size_t count;
};

static void on_answered(void *ctx, const struct ask_result *result, const struct error *error);

struct answers *answers_new(struct query *query)
{
    struct answers *answers = calloc(1, sizeof(*answers));

    if (answers == NULL)
        return NULL;
    answers->query = query;
    h2o_linklist_init_anchor(&answers->by_age);
    return answers;
}

static void drop_bodies(struct answer *answer)
{
    for (size_t i = 0; i < ANSWER_SHAPES; i++) {
        if (answer->bodies[i].base != NULL)
            (void)h2o_mem_release_shared(answer->bodies[i].base);
        answer->bodies[i] = (h2o_iovec_t){NULL, 0};
    }
}

static void forget(struct answer *answer)
{
    struct answers *self = answer->owner;
    struct answer **at = &self->buckets[answer->hash % BUCKETS];

    while (*at != answer)
        at = &(*at)->next;
    *at = answer->next;
    h2o_linklist_unlink(&answer->age);
    self->count--;
    drop_bodies(answer);
    free(answer->ask);
    free(answer);
}

void answers_free(struct answers **answers)
{
    struct answers *self = *answers;

    if (self == NULL)
        return;
    while (!h2o_linklist_is_empty(&self->by_age))
        forget(H2O_STRUCT_FROM_MEMBER(struct answer, age, self->by_age.next));
    free(self);
    *answers = NULL;
}

/* minutes=1 is called "1m" too, and shares its answer. */
static uint64_t hash_of(const struct query_spec *spec)
{
    uint64_t hash =
        XXH3_64bits_withSeed(spec->ad_id, strlen(spec->ad_id), (uint64_t)spec->window_s);

    return XXH3_64bits_withSeed(spec->zone, strlen(spec->zone), hash);
}

static struct answer *find(struct answers *self, const struct query_spec *spec, uint64_t hash)
{
    struct answer *answer = self->buckets[hash % BUCKETS];

    while (answer != NULL &&
           !(answer->hash == hash && strcmp(answer->ad_id, spec->ad_id) == 0 &&
             strcmp(answer->frame, spec->frame) == 0 && strcmp(answer->zone, spec->zone) == 0))
        answer = answer->next;
    return answer;
}

/* Makes room by dropping the oldest that nobody waits for; false: all are being asked. */
static bool make_room(struct answers *self)
{
    h2o_linklist_t *at = self->by_age.next;

    if (self->count < ANSWERS_MAX)
        return true;
    for (; at != &self->by_age; at = at->next) {
        struct answer *answer = H2O_STRUCT_FROM_MEMBER(struct answer, age, at);

        if (answer->state != READY)
            continue;
        forget(answer);
        return true;
    }
    return false;
}

static struct answer *add(struct answers *self, const struct query_spec *spec, uint64_t hash)
{
    struct answer *answer = make_room(self) ? calloc(1, sizeof(*answer)) : NULL;

    if (answer == NULL)
        return NULL;
    answer->owner = self;
    answer->hash = hash;
    memcpy(answer->ad_id, spec->ad_id, sizeof(answer->ad_id));
    memcpy(answer->frame, spec->frame, sizeof(answer->frame));
    memcpy(answer->zone, spec->zone, sizeof(answer->zone));
    waiters_init(&answer->waiters);
    answer->next = self->buckets[hash % BUCKETS];
    self->buckets[hash % BUCKETS] = answer;
    h2o_linklist_insert(&self->by_age, &answer->age);
    self->count++;
    return answer;
}

/* Entries in order of their last question: the front is what is dropped first. */
static bool ask_again(struct answer *answer, const struct query_spec *spec, const struct zone *zone,
                      struct error *err)
{
    struct query *query = answer->owner->query;
    struct counters_question question = {
        .ad_id = answer->ad_id,
        .partition =
            event_partition(answer->ad_id, strlen(answer->ad_id), query->options.partitions),
        .end_s = query->at_ms / 1000,
        .window_s = spec->window_s,
    };

    zone_find_day(zone, question.end_s, &question.today);
    drop_bodies(answer);
    answer->state = ASKING;
    answer->read_ms = query->now_ms;
    answer->meta = (struct reading_meta){.frame = answer->frame, .as_of_ms = query->at_ms};
    h2o_linklist_unlink(&answer->age);
    h2o_linklist_insert(&answer->owner->by_age, &answer->age);
    answer->ask = calloc(1, sizeof(*answer->ask));
    if (answer->ask == NULL)
        return error_set(err, ERROR_LIMIT, "answers: no memory");
    answer->ask->done = on_answered;
    answer->ask->ctx = answer;
    return ask_start(answer->ask, query, &question, err);
}

static void render(struct text *text, const struct answer *answer, enum answer_shape shape)
{
    switch (shape) {
    case ANSWER_V1:
        analytics_json_ad(text, answer->ad_id, &answer->numbers, &answer->meta);
        break;
    case ANSWER_LEGACY_CAMEL:
        legacy_json_camel(text, &answer->numbers);
        break;
    case ANSWER_LEGACY_SNAKE:
        legacy_json_snake(text, answer->ad_id, &answer->numbers);
        break;
    case ANSWER_SHAPES:
        break;
    }
}

static void respond(struct answer *answer, h2o_req_t *req, enum answer_shape shape)
{
    h2o_iovec_t *body = &answer->bodies[shape];

    if (body->base == NULL) {
        AUTO(text_free) struct text text;

        text_init(&text, BODY_MAX);
        render(&text, answer, shape);
        if (!text_ok(&text)) {
            respond_fault(req, FAULT_INTERNAL, "", "the answer could not be put together");
            return;
        }
        *body = waiters_share(&text);
    }
    waiters_respond(req, *body);
}

void answers_serve(struct answers *answers, h2o_req_t *req, const struct query_spec *spec,
                   enum answer_shape shape)
{
    struct query *query = answers->query;
    uint64_t hash = hash_of(spec);
    struct answer *answer = find(answers, spec, hash);
    const struct zone *zone = NULL;
    struct error err = {0};

    if (answer != NULL && answer->state == READY &&
        query->now_ms - answer->read_ms < query->options.cache_ms) {
        gateway_count(GATEWAY_query_cache_hits_total, 1);
        respond(answer, req, shape);
        return;
    }
    if (answer != NULL && answer->state == ASKING) {
        gateway_count(GATEWAY_query_cache_hits_total, 1);
        waiters_add(&answer->waiters, req, (int)shape, "", 1);
        return;
    }
    zone = zones_find(query->options.zones, spec->zone, strlen(spec->zone), &err);
    if (zone == NULL) {
        respond_fault(req, FAULT_INVALID_PARAMETER, "timezone", "is not known here");
        return;
    }
    if (answer == NULL)
        answer = add(answers, spec, hash);
    if (answer == NULL) {
        respond_fault(req, FAULT_OVERLOADED, "", "too many different questions at once");
        return;
    }
    if (!ask_again(answer, spec, zone, &err)) {
        forget(answer);
        query_respond_error(req, &err);
        return;
    }
    waiters_add(&answer->waiters, req, (int)shape, "", 1);
}

static void on_answered(void *ctx, const struct ask_result *result, const struct error *error)
{
    struct answer *answer = ctx;
    struct query *query = answer->owner->query;
    AUTO(auto_free) struct ask *ask = TAKE(answer->ask); /* result and error may lie in it */
    struct waiter *waiter = NULL;

    (void)ask;
    if (result != NULL) {
        struct freshness freshness = {result->reading.fresh_ms, result->reading.is_rebuilding,
                                      result->is_from_postgres};

        answer->numbers = result->reading.numbers;
        query_meta_fill(&answer->meta, &freshness, query->options.stale_after_ms);
    }
    while ((waiter = waiters_take(&answer->waiters)) != NULL) {
        if (result != NULL)
            respond(answer, waiter->req, (enum answer_shape)waiter->shape);
        else
            query_respond_error(waiter->req, error);
    }
    /* ASKING until here: who asks meanwhile is answered in the loop above. */
    answer->state = READY;
    if (result == NULL)
        forget(answer);
}
