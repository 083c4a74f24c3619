#include "analytics.h"

#include "apply.h"
#include "base/auto.h"
#include "changes.h"
#include "clients/reader.h"
#include "clients/redis.h"
#include "event/codec.h"
#include "fold.h"
#include "meters.h"
#include "recent.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    FOLD_WAIT_FACTOR = 2, /* times the last call's duration, when folding saves everything */
    FRESH_EVERY_MS = 500, /* when nothing is pending */
    WARM_MESSAGES = 2000, /* read again at the start for their ids */
    KEYS_REMEMBERED = 100 * 1000, /* some seven an ad are in use at any time; 2 MB */
    TOKEN_MAX = 24,
    SECOND_MS = 1000,
    US_PER_MS = 1000,
    CALL_US = 15 * US_PER_MS, /* how long others may have to wait for Redis */
    ENTRIES_MIN = 100,
};

struct analytics {
    struct analytics_options options;
    struct fold *fold;
    struct recent *recent;
    struct changes *changes;

    bool is_placed;           /* what follows is Redis's */
    bool is_waiting;          /* Redis has no position */
    struct position position; /* what has been counted */
    char token[TOKEN_MAX];    /* of the last rebuild */
    int64_t fresh_at_ms;      /* as it was told last */
    int64_t fresh_set_ms;     /* monotonic: when that was */
    int64_t wait_ms;          /* for more messages, by what the last call cost and saved */
    int64_t entries_limit;    /* of the next call */
    int64_t counted[EVENT_TYPE_COUNT];
    int64_t filtered;
    int64_t newest_at_ms; /* of receipt, of what is counted next; 0: none */
    int64_t oldest_at_ms; /* likewise */
};

/* What was fetched. The messages before next are folded whole; borrowed from the reader. */
struct inbox {
    const struct reader_message *messages;
    size_t count, next;
    struct position folded; /* how far */
};

struct analytics *analytics_new(const struct analytics_options *options, struct error *err)
{
    AUTO(analytics_free) struct analytics *analytics = calloc(1, sizeof(*analytics));

    if (analytics == NULL) {
        error_set(err, ERROR_LIMIT, "analytics: no memory");
        return NULL;
    }
    analytics->options = *options;
    analytics->entries_limit = (int64_t)options->fold_entries_max;
    analytics->fold = fold_new(options->fold_entries_max);
    analytics->recent = recent_new(options->recent_ids_max, options->seed);
    analytics->changes = changes_new(options->partition, KEYS_REMEMBERED);
    if (analytics->fold == NULL || analytics->recent == NULL || analytics->changes == NULL) {
        error_set(err, ERROR_LIMIT, "analytics: no memory");
        return NULL;
    }
    return TAKE(analytics);
}

void analytics_free(struct analytics **analytics)
{
    if (*analytics == NULL)
        return;
    fold_free(&(*analytics)->fold);
    recent_free(&(*analytics)->recent);
    changes_free(&(*analytics)->changes);
    free(*analytics);
    *analytics = NULL;
}

/* The data's path, top to bottom; the definitions follow in this order. */
static bool place(struct analytics *self, struct error *err);
static bool fetch(struct analytics *self, struct inbox *inbox, struct error *err);
static bool fold(struct analytics *self, struct inbox *inbox, struct error *err);
static bool apply(struct analytics *self, struct position to, int64_t fresh_at_ms,
                  struct error *err);
static void note(struct analytics *self, const struct inbox *inbox, size_t messages);
static bool rest(struct analytics *self, int64_t at_ms, struct error *err);
static void reset(struct analytics *self);

/* When the last message that is folded whole was stored; 0: there is none. */
static int64_t counted_until_ms(const struct inbox *inbox)
{
    return inbox->next == 0 ? 0 : inbox->messages[inbox->next - 1].stored_at_ms;
}

bool analytics_step(struct analytics *analytics, struct error *err)
{
    struct inbox inbox = {0};

    if (!analytics->is_placed && !place(analytics, err))
        return false;
    if (!fetch(analytics, &inbox, err))
        return false;
    if (inbox.count == 0)
        return rest(analytics, reader_drained_at_ms(analytics->options.reader), err);
    while (inbox.next < inbox.count) {
        size_t first = inbox.next;

        if (!fold(analytics, &inbox, err)) {
            reset(analytics);
            return false;
        }

        if (!position_is_ahead(inbox.folded, analytics->position)) {
            recent_commit(analytics->recent); /* only read for its ids */
            continue;
        }
        if (!apply(analytics, inbox.folded, counted_until_ms(&inbox), err))
            return false;
        note(analytics, &inbox, inbox.next - first);
    }
    reader_advance(analytics->options.reader, inbox.messages[inbox.count - 1].seq);
    return true;
}

/* What is held goes, the position is read again. */
static void reset(struct analytics *self)
{
    fold_reset(self->fold);
    recent_rollback(self->recent);
    memset(self->counted, 0, sizeof(self->counted));
    self->filtered = 0;
    self->newest_at_ms = 0;
    self->oldest_at_ms = 0;
    self->is_placed = false;
}

void analytics_release(struct analytics *analytics)
{
    reset(analytics);
    metrics_set_by(analytics->options.metrics, METRIC_reader_clock_skew_seconds,
                   analytics->options.partition, 0);
}

bool analytics_is_waiting(const struct analytics *analytics)
{
    return analytics->is_waiting;
}

/* Begins a little before the stored position: those messages only fill the filter. */
static bool place(struct analytics *self, struct error *err)
{
    AUTO(redis_reply_free) redisReply *position = NULL;
    AUTO(redis_reply_free) redisReply *token = NULL;
    char position_key[BUCKET_KEY_MAX];
    char state_key[BUCKET_KEY_MAX];
    uint64_t seq = 0;

    bucket_key_position(position_key, self->options.partition);
    bucket_key_state(state_key, self->options.partition);
    if (!redis_text(self->options.redis, &position, err, "GET %s", position_key) ||
        !redis_text(self->options.redis, &token, err, "HGET %s token", state_key))
        return false;
    self->is_waiting = position->type != REDIS_REPLY_STRING;
    if (self->is_waiting)
        return error_set(err, ERROR_UNAVAILABLE, "analytics: partition %u waits for a rebuild",
                         self->options.partition);
    recent_clear(self->recent);
    changes_forget(self->changes);
    self->position = position_parse(position->str);
    snprintf(self->token, sizeof(self->token), "%s",
             token->type == REDIS_REPLY_STRING ? token->str : "");
    self->is_placed = true;
    metrics_set_by(self->options.metrics, METRIC_reader_position, self->options.partition,
                   (double)self->position.seq);
    self->wait_ms = 0;
    seq = self->position.seq;
    reader_rewind(self->options.reader, seq > WARM_MESSAGES ? seq - WARM_MESSAGES : 0);
    log_info("partition_placed", "partition=%u position=%s", self->options.partition,
             position->str);
    return true;
}

static bool fetch(struct analytics *self, struct inbox *inbox, struct error *err)
{
    return reader_fetch(self->options.reader, self->options.idle_wait_ms, (int)self->wait_ms,
                        &inbox->messages, &inbox->count, err);
}

static void tell_gap(struct analytics *self, uint64_t after, uint64_t next);
static bool decode(struct analytics *self, struct inbox *inbox, struct error *err);
static bool on_event(void *ctx, size_t index, const struct event *event, const char *why);
static bool fold_event(struct analytics *self, const struct event *event, uint64_t seq,
                       bool is_new);

/* Message by message until the fold is full, which may be in the middle of one. */
static bool fold(struct analytics *self, struct inbox *inbox, struct error *err)
{
    inbox->folded = self->position;
    changes_reset(self->changes, clock_at_ms() / SECOND_MS);
    while (inbox->next < inbox->count && !fold_is_full(self->fold))
        if (!decode(self, inbox, err))
            return false;
    return true;
}

/* A message as it is decoded. */
struct decoding {
    struct analytics *self;
    uint64_t seq;
    size_t first; /* the events before it are counted */
    size_t next;  /* the events before it are folded */
    bool is_new;  /* beyond the position: not only read for its ids */
    bool is_full; /* stopped before next: the fold takes no more */
};

static bool decode(struct analytics *self, struct inbox *inbox, struct error *err)
{
    const struct reader_message *message = &inbox->messages[inbox->next];
    struct decoding decoding = {.self = self, .seq = message->seq};
    struct codec_header header;
    struct error unreadable;

    decoding.is_new = message->seq > self->position.seq;
    if (message->seq == self->position.seq + 1)
        decoding.first = self->position.part;
    if (message->seq > inbox->folded.seq + 1)
        tell_gap(self, inbox->folded.seq, message->seq);
    if (!codec_read_batch(message->bytes, message->size_bytes, &header, on_event, &decoding,
                          &unreadable)) {
        if (decoding.is_full) {
            inbox->folded = (struct position){message->seq - 1, (uint32_t)decoding.next};
            return true;
        }
        if (unreadable.kind == ERROR_LIMIT)
            return error_set(err, ERROR_LIMIT, "analytics: no memory for a message's events");
        metrics_add(self->options.metrics, METRIC_analytics_events_unreadable_total, 1);
        log_warn("message_skipped", "partition=%u seq=%" PRIu64 " why=\"%s\"",
                 self->options.partition, message->seq, unreadable.text);
    }
    if (decoding.is_new)
        inbox->folded = (struct position){.seq = message->seq};
    inbox->next++;
    return true;
}

static void tell_gap(struct analytics *self, uint64_t after, uint64_t next)
{
    log_error("stream_gap", "partition=%u after=%" PRIu64 " next=%" PRIu64, self->options.partition,
              after, next);
    metrics_add(self->options.metrics, METRIC_reader_gap_messages_total,
                (int64_t)(next - after - 1));
}

static bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct decoding *decoding = ctx;
    struct analytics *self = decoding->self;
    bool is_new = decoding->is_new && index >= decoding->first;

    if (is_new && fold_is_full(self->fold)) {
        decoding->is_full = true;
        return false;
    }
    decoding->next = index + 1;
    if (event == NULL) {
        metrics_add(self->options.metrics, METRIC_analytics_events_unreadable_total, is_new);
        log_debug("event_skipped", "seq=%" PRIu64 " why=\"%s\"", decoding->seq, why);
        return true;
    }
    return fold_event(self, event, decoding->seq, is_new);
}

/*
 * An event whose ad the gateway could not look up may be a dead letter now and be accepted under
 * the same id later: it is not remembered, so that its second copy counts as well.
 */
static bool fold_event(struct analytics *self, const struct event *event, uint64_t seq, bool is_new)
{
    bool is_known = (event->flags & EVENT_AD_UNRESOLVED) == 0 &&
                    !recent_add(self->recent, event->id, sizeof(event->id));

    if (!is_new)
        return true; /* counted long ago */
    if (is_known) {
        self->filtered++;
        return true;
    }
    self->counted[event->type]++;
    if (event->received_at_ms > self->newest_at_ms)
        self->newest_at_ms = event->received_at_ms;
    if (self->oldest_at_ms == 0 || event->received_at_ms < self->oldest_at_ms)
        self->oldest_at_ms = event->received_at_ms;
    return fold_add(self->fold, event, seq);
}

static bool lose(struct analytics *self, const char *expected, const struct changes_result *result,
                 struct error *err);
static int64_t wait_for_more_ms(const struct analytics *self, int64_t cost_us);
static void limit_next(struct analytics *self, int64_t cost_us);

/* Counters and position in one call, or nothing; without messages only the freshness moves. */
static bool apply(struct analytics *self, struct position to, int64_t fresh_at_ms,
                  struct error *err)
{
    char expected[POSITION_SIZE];
    struct changes_guard guard = {.kind = CHANGES_AT_POSITION,
                                  .expected = expected,
                                  .token = self->token,
                                  .next_position = &to,
                                  .fresh_at_ms = fresh_at_ms};
    struct changes_result result;
    int64_t began_us = clock_now_us();

    position_format(self->position, expected);
    apply_fold(self->fold, self->changes);
    if (!changes_run(self->changes, self->options.redis, &guard, &result, err)) {
        reset(self);
        return false;
    }
    if (result.is_lost)
        return lose(self, expected, &result, err);

    int64_t cost_us = clock_now_us() - began_us;

    self->position = to;
    self->fresh_at_ms = fresh_at_ms;
    self->fresh_set_ms = clock_now_ms();
    self->wait_ms = wait_for_more_ms(self, cost_us);
    limit_next(self, cost_us);
    metrics_observe(self->options.metrics, METRIC_analytics_apply_seconds, (double)cost_us / 1e6);
    return true;
}

static bool lose(struct analytics *self, const char *expected, const struct changes_result *result,
                 struct error *err)
{
    metrics_add(self->options.metrics, METRIC_analytics_applies_lost_total, 1);
    reset(self);
    return error_set(err, ERROR_UNAVAILABLE,
                     "analytics: partition %u: the position is %s%" PRIu64
                     ", not %s, or a rebuild has begun",
                     self->options.partition, result->has_position ? "" : "gone, ",
                     result->position.seq, expected);
}

/*
 * Waiting makes a fold larger and each event of it cheaper, as far as events share their counters.
 * With a counter an event it would save nothing and make everybody late: the next, larger call
 * takes longer, and so does the wait after it.
 */
static int64_t wait_for_more_ms(const struct analytics *self, int64_t cost_us)
{
    int64_t counters = (int64_t)fold_counts(self->fold)->count;
    int64_t events = 0;

    for (size_t type = 0; type < EVENT_TYPE_COUNT; type++)
        events += self->counted[type];
    if (events == 0)
        return 0;

    int64_t wait_ms = FOLD_WAIT_FACTOR * cost_us * (events - counters) / events / US_PER_MS;

    return wait_ms < self->options.fold_wait_ms ? wait_ms : self->options.fold_wait_ms;
}

/*
 * An entry on an ad of its own costs ten times one among many of its ad, and machines differ: so
 * the next call gets as many entries as the last would have done in CALL_US. Half of the way at
 * once, since a single slow call may be somebody else's doing.
 */
static void limit_next(struct analytics *self, int64_t cost_us)
{
    int64_t max = (int64_t)self->options.fold_entries_max;
    int64_t entries = (int64_t)fold_entries(self->fold);

    if (entries < ENTRIES_MIN)
        return;

    int64_t limit = (self->entries_limit + entries * CALL_US / (cost_us + 1)) / 2;

    if (limit < ENTRIES_MIN)
        limit = ENTRIES_MIN;
    self->entries_limit = limit < max ? limit : max;
    fold_set_limit(self->fold, (size_t)self->entries_limit);
}

/* Of what was counted, if it had events. */
static void show_ages(struct analytics *self)
{
    int64_t at_ms = clock_at_ms();

    if (self->newest_at_ms > 0) {
        metrics_set_by(self->options.metrics, METRIC_reader_clock_skew_seconds,
                       self->options.partition, (double)(self->newest_at_ms - at_ms) / SECOND_MS);
        metrics_observe(
            self->options.metrics, METRIC_reader_freshness_seconds,
            at_ms > self->oldest_at_ms ? (double)(at_ms - self->oldest_at_ms) / SECOND_MS : 0);
    }
    self->newest_at_ms = 0;
    self->oldest_at_ms = 0;
}

/* The call has taken effect: what was only tried becomes known. */
static void note(struct analytics *self, const struct inbox *inbox, size_t messages)
{
    struct metrics *metrics = self->options.metrics;
    uint32_t partition = self->options.partition;
    int64_t until_ms = counted_until_ms(inbox);

    metrics_observe(metrics, METRIC_analytics_fold_entries, (double)fold_entries(self->fold));
    metrics_observe(metrics, METRIC_analytics_fold_messages, (double)messages);
    metrics_add(metrics, METRIC_analytics_applies_total, 1);
    metrics_add(metrics, METRIC_analytics_events_filtered_total, self->filtered);
    metrics_set_by(metrics, METRIC_reader_lag_messages, partition,
                   (double)reader_pending(self->options.reader));
    if (until_ms > 0)
        metrics_set_by(metrics, METRIC_reader_fresh_at_seconds, partition,
                       (double)until_ms / SECOND_MS);
    metrics_set_by(metrics, METRIC_reader_position, partition, (double)self->position.seq);
    for (size_t type = 0; type < EVENT_TYPE_COUNT; type++) {
        if (self->counted[type] > 0)
            metrics_add_by(metrics, METRIC_analytics_events_counted_total, type,
                           self->counted[type]);
        self->counted[type] = 0;
    }
    show_ages(self);
    self->filtered = 0;
    recent_commit(self->recent);
    fold_reset(self->fold);
}

/* Nothing came: all that was published before NATS said that there is nothing more is counted. */
static bool rest(struct analytics *self, int64_t at_ms, struct error *err)
{
    metrics_set_by(self->options.metrics, METRIC_reader_lag_messages, self->options.partition,
                   (double)reader_pending(self->options.reader));
    if (at_ms <= self->fresh_at_ms || clock_now_ms() - self->fresh_set_ms < FRESH_EVERY_MS)
        return true;
    changes_reset(self->changes, at_ms / SECOND_MS);
    if (!apply(self, self->position, at_ms, err))
        return false;
    metrics_set_by(self->options.metrics, METRIC_reader_fresh_at_seconds, self->options.partition,
                   (double)at_ms / SECOND_MS);
    return true;
}
