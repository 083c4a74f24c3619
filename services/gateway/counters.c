#include "counters.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPLY_FRESH,
    REPLY_REBUILD,
    REPLY_TOTALS,
    REPLY_VISITOR_SUM,
    REPLY_VISITORS,
    REPLY_READS, /* from here on: each group's series by each of its reads */
    PFCOUNT_KEYS_MAX = 64,
    QUARTERS_PER_DAY = 96,
    DAY_S = 86400,
};

static_assert(EVENT_TYPE_COUNT * EVENT_REASON_COUNT <= 64, "a series is a bit of a word");

const int64_t counters_window_s[COUNTERS_WINDOWS] = {60, 300, 900, 3600, 86400, 604800};

static uint64_t series_bit(size_t type, size_t reason)
{
    return UINT64_C(1) << (type * EVENT_REASON_COUNT + reason);
}

static bool has_series(const struct counters_plan *plan, size_t type, size_t reason)
{
    return (plan->known.series & series_bit(type, reason)) != 0;
}

static const struct counters_group *group_of(const struct counters_plan *plan, size_t type)
{
    return type == EVENT_CLICK ? &plan->clicks : &plan->others;
}

static struct counters_read *find_read(struct counters_group *group, enum bucket_size size,
                                       int64_t block)
{
    struct counters_read *read = NULL;

    for (size_t i = 0; i < group->count; i++) {
        if (group->reads[i].size == size && group->reads[i].block == block)
            return &group->reads[i];
    }
    assert(group->count < COUNTERS_GROUP_READS_MAX);
    read = &group->reads[group->count++];
    read->size = size;
    read->block = block;
    for (size_t i = 0; i < COUNTERS_TARGETS; i++) {
        read->first[i] = INT32_MAX;
        read->last[i] = INT32_MIN;
    }
    return read;
}

/* The spans of one target in one hash follow each other without a gap, so they are one range. */
static void use(struct counters_group *group, size_t target, const struct bucket_span *span)
{
    bool is_day = span->size == BUCKET_DAY;
    int32_t base = is_day ? (int32_t)span->block : 0; /* days are fields of a single hash */
    struct counters_read *read = find_read(group, span->size, is_day ? 0 : span->block);

    if (base + span->first < read->first[target])
        read->first[target] = base + span->first;
    if (base + span->last > read->last[target])
        read->last[target] = base + span->last;
}

/*
 * A window of seconds spans up to 16 hashes of seconds. A whole minute of them is the same number
 * as one field of a hash of minutes, of which the last hour needs two at most: a quarter of an hour
 * then costs the seconds of its two edges and the minutes between.
 */
static void use_window(struct counters_group *group, size_t target, int64_t end_s, int64_t window_s)
{
    struct bucket_span spans[BUCKET_SPANS_MAX];
    size_t count = bucket_window(end_s, window_s, spans);

    for (size_t i = 0; i < count; i++) {
        struct bucket_span span = spans[i];

        if (span.size == BUCKET_SECOND && span.first == 0 && span.last == 59) {
            span.size = BUCKET_MINUTE;
            span.first = span.last = (int)(spans[i].block % 60);
            span.block = spans[i].block / 60;
        }
        use(group, target, &span);
    }
}

static void use_today(struct counters_group *group, const struct zone_day *today)
{
    int64_t last = today->first_quarter + today->count - 1;

    for (int64_t day = today->first_quarter / QUARTERS_PER_DAY; day <= last / QUARTERS_PER_DAY;
         day++) {
        int64_t from = today->first_quarter - day * QUARTERS_PER_DAY;
        int64_t to = last - day * QUARTERS_PER_DAY;
        struct bucket_span span = {
            .size = BUCKET_QUARTER,
            .block = day,
            .first = (int)(from < 0 ? 0 : from),
            .last = (int)(to >= QUARTERS_PER_DAY ? QUARTERS_PER_DAY - 1 : to),
        };

        use(group, COUNTERS_TARGET_TODAY, &span);
    }
}

void counters_make_plan(struct counters_plan *plan, const struct counters_question *question,
                        const struct counters_known *known)
{
    (void)snprintf(plan->ad_id, sizeof(plan->ad_id), "%s", question->ad_id);
    plan->partition = question->partition;
    plan->end_s = question->end_s;
    plan->window_s = question->window_s;
    plan->today = question->today;
    plan->known = *known;
    if (plan->known.visitor_day == 0)
        plan->known.visitor_day = question->end_s / DAY_S;
    plan->clicks.count = plan->others.count = 0;
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++)
        use_window(&plan->clicks, i, question->end_s, counters_window_s[i]);
    use_today(&plan->clicks, &question->today);
    if (question->window_s > 0) {
        use_window(&plan->clicks, COUNTERS_TARGET_FRAME, question->end_s, question->window_s);
        use_window(&plan->others, COUNTERS_TARGET_FRAME, question->end_s, question->window_s);
    }
}

struct emitter {
    counters_emit_fn emit;
    void *ctx;
};

static bool emit_key(const struct emitter *to, const char *command, const char *key, size_t size)
{
    const char *argv[] = {command, key};
    const size_t sizes[] = {strlen(command), size};

    return to->emit(to->ctx, 2, argv, sizes);
}

/* GET fresh, HGET state rebuild, HGETALL totals, HMGET u sum day: what REPLY_* names. */
static bool emit_head(const struct counters_plan *plan, const struct emitter *to)
{
    char key[BUCKET_KEY_MAX];
    const char *argv[] = {"HGET", key, "rebuild", NULL};
    size_t sizes[] = {4, 0, 7, 0};

    if (!emit_key(to, "GET", key, bucket_key_fresh(key, plan->partition)))
        return false;
    sizes[1] = bucket_key_state(key, plan->partition);
    if (!to->emit(to->ctx, 3, argv, sizes))
        return false;
    if (!emit_key(to, "HGETALL", key, bucket_key_totals(key, plan->partition, plan->ad_id)))
        return false;
    argv[0] = "HMGET";
    argv[2] = "sum";
    argv[3] = "day";
    sizes[0] = 5;
    sizes[1] = bucket_key_visitor_sum(key, plan->partition, plan->ad_id);
    sizes[2] = sizes[3] = 3;
    return to->emit(to->ctx, 4, argv, sizes);
}

/* Of all time: the day that is not in the sum yet; of a window: the units that it touches. */
static bool emit_visitors(const struct counters_plan *plan, const struct emitter *to)
{
    char keys[PFCOUNT_KEYS_MAX][BUCKET_KEY_MAX];
    const char *argv[PFCOUNT_KEYS_MAX + 1] = {"PFCOUNT"};
    size_t sizes[PFCOUNT_KEYS_MAX + 1] = {7};
    struct bucket_visitors_span span = {BUCKET_VISITORS_DAY, plan->known.visitor_day,
                                        plan->known.visitor_day};
    int count = 0;

    if (plan->window_s > 0)
        (void)bucket_visitors_window(plan->end_s, plan->window_s, &span);
    for (int64_t unit = span.first; unit <= span.last && count < PFCOUNT_KEYS_MAX; unit++) {
        argv[count + 1] = keys[count];
        sizes[count + 1] =
            bucket_key_visitors(keys[count], plan->partition, plan->ad_id, span.unit, unit);
        count++;
    }
    return to->emit(to->ctx, count + 1, argv, sizes);
}

static bool emit_series(const struct counters_plan *plan, size_t type, size_t reason,
                        const struct emitter *to)
{
    const struct counters_group *group = group_of(plan, type);
    char series[SERIES_MAX];
    char key[BUCKET_KEY_MAX];

    (void)series_format((enum event_type)type, (enum event_reason)reason, series);
    for (size_t i = 0; i < group->count; i++) {
        const struct counters_read *read = &group->reads[i];

        if (!emit_key(
                to, "HGETALL", key,
                bucket_key(key, plan->partition, plan->ad_id, series, read->size, read->block)))
            return false;
    }
    return true;
}

bool counters_emit(const struct counters_plan *plan, counters_emit_fn emit, void *ctx)
{
    const struct emitter to = {emit, ctx};

    if (!emit_head(plan, &to) || !emit_visitors(plan, &to))
        return false;
    for (size_t type = 0; type < EVENT_TYPE_COUNT; type++) {
        for (size_t reason = 0; reason < EVENT_REASON_COUNT; reason++) {
            if (has_series(plan, type, reason) && !emit_series(plan, type, reason, &to))
                return false;
        }
    }
    return true;
}

/* A count as Redis stores it; what is no number counts as nothing, as it would for HINCRBY. */
static int64_t number_of(const redisReply *reply)
{
    if (reply == NULL)
        return 0;
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    return reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : 0;
}

static bool is_array(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY;
}

static bool is_text(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

static void count_total(struct ad_numbers *numbers, bool is_frame, size_t type, size_t reason,
                        int64_t count)
{
    if (type == EVENT_CLICK)
        numbers->total_clicks += count;
    if (!is_frame)
        return;
    if (type == EVENT_CLICK && reason == EVENT_VALID)
        numbers->clicks += count;
    else if (type == EVENT_CLICK)
        numbers->invalid[reason] += count;
    else if (reason == EVENT_VALID)
        numbers->events[type] += count;
}

/* A series that this version does not know is left out: a later one may have written it. */
static void fold_totals(const struct counters_plan *plan, const redisReply *reply,
                        struct counters_reading *out)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i];
        enum event_type type = EVENT_UNSPECIFIED;
        enum event_reason reason = EVENT_VALID;

        if (!series_parse(name->str, (size_t)name->len, &type, &reason))
            continue;
        out->known.series |= series_bit(type, reason);
        count_total(&out->numbers, plan->window_s == 0, type, reason,
                    number_of(reply->element[i + 1]));
    }
}

static void fold_visitors(const struct counters_plan *plan, redisReply *const *replies,
                          struct counters_reading *out)
{
    const redisReply *sum = replies[REPLY_VISITOR_SUM];

    out->numbers.uniques = number_of(replies[REPLY_VISITORS]);
    if (plan->window_s > 0 || sum->elements != 2)
        return;
    out->numbers.uniques += number_of(sum->element[0]);
    if (sum->element[1]->type == REDIS_REPLY_STRING)
        out->known.visitor_day = number_of(sum->element[1]);
}

static bool takes(const struct counters_read *read, size_t target, int64_t field)
{
    return field >= read->first[target] && field <= read->last[target];
}

static void fold_click(const struct counters_plan *plan, const struct counters_read *read,
                       int64_t field, int64_t count, struct ad_numbers *numbers)
{
    for (size_t i = 0; i < COUNTERS_WINDOWS; i++) {
        if (takes(read, i, field))
            numbers->windows[i] += count;
    }
    if (takes(read, COUNTERS_TARGET_TODAY, field)) {
        int64_t quarter = read->block * QUARTERS_PER_DAY + field - plan->today.first_quarter;
        uint8_t hour = plan->today.hours[quarter];

        if (hour < COUNTERS_HOURS)
            numbers->hours[hour] += count;
    }
}

static void fold_read(const struct counters_plan *plan, const struct counters_read *read,
                      size_t type, size_t reason, const redisReply *reply,
                      struct ad_numbers *numbers)
{
    int64_t frame = 0;

    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        int64_t field = number_of(reply->element[i]);
        int64_t count = number_of(reply->element[i + 1]);

        if (type == EVENT_CLICK)
            fold_click(plan, read, field, count, numbers);
        if (takes(read, COUNTERS_TARGET_FRAME, field))
            frame += count;
    }
    if (type == EVENT_CLICK && reason == EVENT_VALID)
        numbers->clicks += frame;
    else if (type == EVENT_CLICK)
        numbers->invalid[reason] += frame;
    else if (reason == EVENT_VALID)
        numbers->events[type] += frame;
}

/* Takes the replies of one series off the front; false: they are too few or no hashes. */
static bool fold_series(const struct counters_plan *plan, size_t type, size_t reason,
                        redisReply *const **next, redisReply *const *end,
                        struct counters_reading *out)
{
    const struct counters_group *group = group_of(plan, type);

    for (size_t i = 0; i < group->count; i++) {
        if (*next == end || !is_array(**next))
            return false;
        fold_read(plan, &group->reads[i], type, reason, **next, &out->numbers);
        (*next)++;
    }
    return true;
}

static bool fold_groups(const struct counters_plan *plan, redisReply *const *replies, size_t count,
                        struct counters_reading *out)
{
    redisReply *const *next = replies + REPLY_READS;
    redisReply *const *end = replies + count;

    for (size_t type = 0; type < EVENT_TYPE_COUNT; type++) {
        for (size_t reason = 0; reason < EVENT_REASON_COUNT; reason++) {
            if (has_series(plan, type, reason) && !fold_series(plan, type, reason, &next, end, out))
                return false;
        }
    }
    return next == end;
}

bool counters_fold(const struct counters_plan *plan, redisReply *const *replies, size_t count,
                   struct counters_reading *out, struct error *err)
{
    struct counters_reading reading = {.known = plan->known};

    for (size_t i = 0; i < count; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR)
            return error_set(err, ERROR_UNAVAILABLE, "redis: %s", replies[i]->str);
    }
    if (count < REPLY_READS || !is_array(replies[REPLY_TOTALS]) ||
        !is_array(replies[REPLY_VISITOR_SUM]))
        return error_set(err, ERROR_INTERNAL, "counters: the replies are not those asked for");
    reading.fresh_ms = number_of(replies[REPLY_FRESH]);
    reading.is_rebuilding = replies[REPLY_REBUILD]->type != REDIS_REPLY_NIL;
    reading.is_usable = reading.fresh_ms > 0 && !is_text(replies[REPLY_REBUILD], "totals");
    fold_totals(plan, replies[REPLY_TOTALS], &reading);
    fold_visitors(plan, replies, &reading);
    if (!fold_groups(plan, replies, count, &reading))
        return error_set(err, ERROR_INTERNAL, "counters: the replies are not those asked for");
    reading.is_complete = reading.known.series == plan->known.series &&
                          reading.known.visitor_day == plan->known.visitor_day;
    /* An estimate over whole units may exceed the window; nobody is unique without a click. */
    if (reading.numbers.uniques > reading.numbers.clicks)
        reading.numbers.uniques = reading.numbers.clicks;
    *out = reading;
    return true;
}
