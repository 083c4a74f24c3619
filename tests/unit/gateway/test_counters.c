#include "check.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "counters.h"
#include "query_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A small Redis of our own: the events themselves. A command that the plan emits is answered from
 * them by what proto/redis.md says, so that plan, emit and fold are checked against counting.
 */
enum { EVENTS_MAX = 4000, COMMANDS_MAX = 600, FIELDS_MAX = 200 };

struct event_seen {
    int64_t at_s;
    int type, reason;
};

struct model {
    struct event_seen events[EVENTS_MAX];
    size_t count;
    redisReply *replies[COMMANDS_MAX];
    size_t reply_count;
};

static redisReply *reply_new(int type)
{
    redisReply *reply = calloc(1, sizeof(*reply));

    assert_non_null(reply);
    reply->type = type;
    return reply;
}

static redisReply *reply_text(const char *text)
{
    redisReply *reply = reply_new(REDIS_REPLY_STRING);

    reply->str = strdup(text);
    reply->len = strlen(text);
    return reply;
}

static void reply_free(redisReply *reply)
{
    for (size_t i = 0; i < reply->elements; i++)
        reply_free(reply->element[i]);
    free(reply->element);
    free(reply->str);
    free(reply);
}

static void model_close(struct model **model)
{
    for (size_t i = 0; i < (*model)->reply_count; i++)
        reply_free((*model)->replies[i]);
    free(*model);
    *model = NULL;
}

static void forget_replies(struct model *model)
{
    for (size_t i = 0; i < model->reply_count; i++)
        reply_free(model->replies[i]);
    model->reply_count = 0;
}

static void push(redisReply *array, redisReply *element)
{
    array->element = realloc(array->element, (array->elements + 1) * sizeof(*array->element));
    assert_non_null(array->element);
    array->element[array->elements++] = element;
}

static void push_pair(redisReply *array, const char *field, int64_t count)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)count);
    push(array, reply_text(field));
    push(array, reply_text(text));
}

static int64_t unit_of(char kind)
{
    return kind == 's' ? 1 : kind == 'm' ? 60 : kind == 'q' ? 900 : 86400;
}

/* Days are fields of one hash that has no block: every Unix day of the events fits. */
enum { DAYS_MAX = 30000 };

static int64_t fields_of(char kind)
{
    return kind == 'q' ? 96 : kind == 'd' ? DAYS_MAX : 60;
}

/* {0}:s:ad:c.crawler:123 and its like; {0}:d:ad:c has no block. */
static redisReply *read_hash(const struct model *model, const char *key)
{
    redisReply *reply = reply_new(REDIS_REPLY_ARRAY);
    char kind = key[4];
    const char *name = key + strlen("{0}:s:ad:");
    char series[SERIES_MAX];
    int64_t block = 0;
    enum event_type type;
    enum event_reason reason;
    static int64_t counts[DAYS_MAX];

    (void)snprintf(series, sizeof(series), "%.*s", (int)strcspn(name, ":"), name);
    if (name[strlen(series)] == ':')
        block = strtoll(name + strlen(series) + 1, NULL, 10);
    assert_true(series_parse(series, strlen(series), &type, &reason));
    memset(counts, 0, (size_t)fields_of(kind) * sizeof(counts[0]));
    for (size_t i = 0; i < model->count; i++) {
        const struct event_seen *event = &model->events[i];
        int64_t place = event->at_s / unit_of(kind);

        if (event->type != (int)type || event->reason != (int)reason)
            continue;
        if (place / fields_of(kind) == block)
            counts[place % fields_of(kind)]++;
    }
    for (int64_t field = 0; field < fields_of(kind); field++) {
        char text[24];

        if (counts[field] == 0)
            continue;
        (void)snprintf(text, sizeof(text), "%lld", (long long)field);
        push_pair(reply, text, counts[field]);
    }
    return reply;
}

static redisReply *read_totals(const struct model *model)
{
    redisReply *reply = reply_new(REDIS_REPLY_ARRAY);

    for (int type = 1; type < EVENT_TYPE_COUNT; type++) {
        for (int reason = 0; reason < EVENT_REASON_COUNT; reason++) {
            char series[SERIES_MAX];
            int64_t count = 0;

            for (size_t i = 0; i < model->count; i++)
                count += model->events[i].type == type && model->events[i].reason == reason;
            (void)series_format((enum event_type)type, (enum event_reason)reason, series);
            if (count > 0)
                push_pair(reply, series, count);
        }
    }
    push_pair(reply, "z.later", 7); /* what a later version may write */
    return reply;
}

static bool answer(void *ctx, int argc, const char **argv, const size_t *sizes)
{
    struct model *model = ctx;
    redisReply *reply = NULL;

    assert_true(model->reply_count < COMMANDS_MAX);
    for (int i = 0; i < argc; i++)
        assert_int_equal(strlen(argv[i]), sizes[i]);
    if (strcmp(argv[0], "GET") == 0) {
        reply = reply_text("1700000000000");
    } else if (strcmp(argv[0], "HGET") == 0) {
        reply = reply_new(REDIS_REPLY_NIL);
    } else if (strcmp(argv[0], "PFCOUNT") == 0) {
        reply = reply_new(REDIS_REPLY_INTEGER);
        reply->integer = 3;
    } else if (strcmp(argv[0], "HMGET") == 0) {
        reply = reply_new(REDIS_REPLY_ARRAY);
        push(reply, reply_text("5"));
        push(reply, reply_text("19000"));
    } else if (strstr(argv[1], ":t:") != NULL) {
        reply = read_totals(model);
    } else {
        reply = read_hash(model, argv[1]);
    }
    model->replies[model->reply_count++] = reply;
    return true;
}

static struct model *model_of_random_events(uint64_t seed, int64_t end_s)
{
    struct model *model = calloc(1, sizeof(*model));
    struct random random = {seed};

    assert_non_null(model);
    for (; model->count < EVENTS_MAX; model->count++) {
        /* Most of them recent, so that every window has some at its edges. */
        static const int64_t spans_s[] = {70, 400, 1000, 4000, 90000, 700000, 1000000};
        int64_t span_s = spans_s[random_between(&random, 0, 6)];

        model->events[model->count] = (struct event_seen){
            .at_s = end_s - random_between(&random, 0, span_s),
            .type = (int)random_between(&random, 1, 3),
            .reason = random_between(&random, 0, 3) == 0 ? (int)random_between(&random, 1, 4) : 0,
        };
    }
    return model;
}

static struct counters_question question_at(int64_t end_s, int64_t window_s)
{
    struct counters_question question = {.ad_id = "ad", .end_s = end_s, .window_s = window_s};

    question.today.first_quarter = end_s / 86400 * 96 - 23; /* a zone of +05:45 */
    question.today.count = 96;
    for (int i = 0; i < 96; i++)
        question.today.hours[i] = (uint8_t)(i / 4);
    return question;
}

static int64_t edge_of(int64_t window_s)
{
    return window_s <= 900 ? 1 : window_s <= 3600 ? 60 : 900;
}

static bool is_inside(int64_t at_s, int64_t end_s, int64_t window_s)
{
    int64_t edge_s = edge_of(window_s);

    return at_s <= end_s && at_s / edge_s * edge_s > end_s - window_s;
}

/* Counting, event by event. */
static struct ad_numbers count_all(const struct model *model,
                                   const struct counters_question *question)
{
    struct ad_numbers numbers = {0};

    for (size_t i = 0; i < model->count; i++) {
        const struct event_seen *event = &model->events[i];
        int64_t quarter = event->at_s / 900 - question->today.first_quarter;
        bool is_click = event->type == EVENT_CLICK;

        numbers.total_clicks += is_click;
        if (is_click && quarter >= 0 && quarter < question->today.count)
            numbers.hours[question->today.hours[quarter]]++;
        for (size_t w = 0; w < COUNTERS_WINDOWS; w++)
            numbers.windows[w] +=
                is_click && is_inside(event->at_s, question->end_s, counters_window_s[w]);
        if (question->window_s > 0 && !is_inside(event->at_s, question->end_s, question->window_s))
            continue;
        if (is_click && event->reason == EVENT_VALID)
            numbers.clicks++;
        else if (is_click)
            numbers.invalid[event->reason]++;
        else if (event->reason == EVENT_VALID)
            numbers.events[event->type]++;
    }
    return numbers;
}

static struct counters_reading read_all(struct model *model,
                                        const struct counters_question *question,
                                        const struct counters_known *known)
{
    struct counters_plan plan;
    struct counters_reading reading;
    struct error error = {0};
    struct error *err = &error;

    forget_replies(model);
    counters_make_plan(&plan, question, known);
    assert_true(counters_emit(&plan, answer, model));
    assert_ok(counters_fold(&plan, model->replies, model->reply_count, &reading, err));
    return reading;
}

static void check_question(struct model *model, const struct counters_question *question)
{
    static const struct counters_known nothing;
    struct ad_numbers expected = count_all(model, question);
    struct counters_reading reading = read_all(model, question, &nothing);

    assert_false(reading.is_complete);
    reading = read_all(model, question, &reading.known);
    assert_true(reading.is_complete);
    reading.numbers.uniques = 0;
    assert_memory_equal(&reading.numbers, &expected, sizeof(expected));
}

static const int64_t windows_s[] = {0,    60,   120,  300,   420,   900,   960,
                                    3600, 3660, 7200, 86400, 90000, 604800};

TEST(every_window_equals_counting_event_by_event)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        int64_t end_s = 1700000000 + (int64_t)seed * 7919;
        AUTO(model_close) struct model *model = model_of_random_events(seed, end_s);

        for (size_t i = 0; i < sizeof(windows_s) / sizeof(windows_s[0]); i++) {
            struct counters_question question = question_at(end_s, windows_s[i]);

            check_question(model, &question);
        }
    }
}

TEST(windows_that_end_on_the_edges_of_buckets_equal_counting)
{
    static const int64_t ends_s[] = {1700006400, 1700006399,       1700006400 + 3600,
                                     1700006459, 1700006400 + 899, 1700006400 + 900};

    for (size_t e = 0; e < sizeof(ends_s) / sizeof(ends_s[0]); e++) {
        AUTO(model_close) struct model *model = model_of_random_events(77 + e, ends_s[e]);

        for (size_t i = 0; i < sizeof(windows_s) / sizeof(windows_s[0]); i++) {
            struct counters_question question = question_at(ends_s[e], windows_s[i]);

            check_question(model, &question);
        }
    }
}

/* What the rows of ad_total, ad_quarter and events add up to. */
static struct ad_numbers fold_all(const struct model *model,
                                  const struct counters_question *question)
{
    struct ad_numbers numbers = {0};

    for (size_t i = 0; i < model->count; i++) {
        const struct event_seen *event = &model->events[i];
        struct fold_row row = {event->at_s, event->type, event->reason, 1};
        struct fold_row quarter = row;

        quarter.at_s -= quarter.at_s % 900;
        fold_total(&numbers, question, &row);
        fold_quarter(&numbers, question, &quarter);
        fold_second(&numbers, question, &row);
    }
    return numbers;
}

TEST(rows_of_postgres_give_the_same_numbers)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        int64_t end_s = 1700000000 + (int64_t)seed * 104729;
        AUTO(model_close) struct model *model = model_of_random_events(seed, end_s);

        for (size_t w = 0; w < sizeof(windows_s) / sizeof(windows_s[0]); w++) {
            struct counters_question question = question_at(end_s, windows_s[w]);
            struct ad_numbers expected = count_all(model, &question);
            struct ad_numbers numbers = fold_all(model, &question);

            assert_memory_equal(&numbers, &expected, sizeof(expected));
        }
    }
}

TEST(an_ad_without_events_is_read_in_one_round)
{
    AUTO(model_close) struct model *model = calloc(1, sizeof(*model));
    struct counters_question question = question_at(1700000000, 60);
    struct counters_known nothing = {0};
    struct counters_reading reading = read_all(model, &question, &nothing);

    assert_true(reading.is_complete);
    assert_int_equal(model->reply_count, 5);
    assert_int_equal(reading.numbers.total_clicks, 0);
}

TEST(visitors_are_never_more_than_clicks)
{
    AUTO(model_close) struct model *model = calloc(1, sizeof(*model));
    struct counters_question question = question_at(1700000000, 60);
    struct counters_known nothing = {0};
    struct counters_reading reading;

    model->events[0] = (struct event_seen){1700000000, EVENT_CLICK, EVENT_VALID};
    model->count = 1;
    reading = read_all(model, &question, &nothing);
    reading = read_all(model, &question, &reading.known);

    assert_int_equal(reading.numbers.clicks, 1);
    assert_int_equal(reading.numbers.uniques, 1);
}

TEST(visitors_of_all_time_ask_for_the_day_that_is_still_open)
{
    AUTO(model_close) struct model *model = model_of_random_events(3, 1700000000);
    struct counters_question question = question_at(1700000000, 0);
    struct counters_known nothing = {0};
    struct counters_reading reading = read_all(model, &question, &nothing);

    assert_int_equal(reading.known.visitor_day, 19000);
    reading = read_all(model, &question, &reading.known);
    assert_int_equal(reading.numbers.uniques, 8);
}

TEST(a_redis_that_lost_its_memory_is_not_usable)
{
    AUTO(model_close) struct model *model = calloc(1, sizeof(*model));
    struct counters_question question = question_at(1700000000, 60);
    struct counters_known nothing = {0};
    struct counters_reading reading = read_all(model, &question, &nothing);
    struct counters_plan plan;

    assert_true(reading.is_usable);
    counters_make_plan(&plan, &question, &nothing);
    model->replies[0]->type = REDIS_REPLY_NIL; /* fresh */
    assert_ok(counters_fold(&plan, model->replies, model->reply_count, &reading, err));
    assert_false(reading.is_usable);
    model->replies[0]->type = REDIS_REPLY_STRING;
    reply_free(model->replies[1]);
    model->replies[1] = reply_text("minutes");
    assert_ok(counters_fold(&plan, model->replies, model->reply_count, &reading, err));
    assert_true(reading.is_usable);
    assert_true(reading.is_rebuilding);
    reply_free(model->replies[1]);
    model->replies[1] = reply_text("totals");
    assert_ok(counters_fold(&plan, model->replies, model->reply_count, &reading, err));
    assert_false(reading.is_usable);
}

TEST(replies_that_are_not_the_plans_are_refused)
{
    AUTO(model_close) struct model *model = model_of_random_events(3, 1700000000);
    struct counters_question question = question_at(1700000000, 300);
    struct counters_known known = {.series = UINT64_MAX >> 19};
    struct counters_plan plan;
    struct counters_reading reading;

    counters_make_plan(&plan, &question, &known);
    assert_fails(ERROR_INTERNAL, counters_fold(&plan, model->replies, 0, &reading, err));
    known.series = UINT64_C(1) << EVENT_REASON_COUNT; /* valid clicks */
    counters_make_plan(&plan, &question, &known);
    assert_true(counters_emit(&plan, answer, model));
    assert_fails(ERROR_INTERNAL,
                 counters_fold(&plan, model->replies, model->reply_count - 1, &reading, err));
    model->replies[2]->type = REDIS_REPLY_ERROR;
    model->replies[2]->str = strdup("LOADING");
    assert_fails(ERROR_UNAVAILABLE,
                 counters_fold(&plan, model->replies, model->reply_count, &reading, err));
}

TESTS(RUN(every_window_equals_counting_event_by_event),
      RUN(windows_that_end_on_the_edges_of_buckets_equal_counting),
      RUN(rows_of_postgres_give_the_same_numbers), RUN(an_ad_without_events_is_read_in_one_round),
      RUN(visitors_are_never_more_than_clicks),
      RUN(visitors_of_all_time_ask_for_the_day_that_is_still_open),
      RUN(a_redis_that_lost_its_memory_is_not_usable),
      RUN(replies_that_are_not_the_plans_are_refused))
