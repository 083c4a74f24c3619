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
    FOLD_WAIT_FACTOR = 2, /* times the last call's duration */
    FRESH_EVERY_MS = 500, /* when nothing is pending */
    WARM_MESSAGES = 2000, /* read again at the start for their ids */
    SECOND_MS = 1000,
};

struct analytics {
    struct analytics_options options;
    struct fold *fold;
    struct recent *recent;
    struct changes *changes;

    bool is_placed;    /* position below is Redis's */
    bool is_waiting;   /* Redis has none */
    uint64_t position; /* the last message counted */
    int64_t fresh_set_ms;
    int64_t wait_ms;       /* for more messages, by the cost of the last call */
    bool is_out_of_memory; /* set while a message is decoded */
    int64_t counted[EVENT_TYPE_COUNT];
    int64_t filtered;
};

/* The fetched messages that are not in a call yet; borrowed from the reader. */
struct inbox {
    const struct reader_message *messages;
    size_t count, next;
};

struct analytics *analytics_new(const struct analytics_options *options, struct error *err)
{
    AUTO(analytics_free) struct analytics *analytics = calloc(1, sizeof(*analytics));

    if (analytics == NULL) {
        error_set(err, ERROR_LIMIT, "analytics: no memory");
        return NULL;
    }
    analytics->options = *options;
    analytics->fold = fold_new(options->fold_entries_max);
    analytics->recent = recent_new(options->recent_ids_max, options->seed);
    analytics->changes = changes_new(options->partition);
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
static bool apply(struct analytics *self, uint64_t position, int64_t fresh_at_ms,
                  struct error *err);
static void note(struct analytics *self, const struct reader_message *last, size_t messages);
static bool rest(struct analytics *self, int64_t at_ms, struct error *err);

bool analytics_step(struct analytics *analytics, struct error *err)
{
    struct inbox inbox = {0};
    int64_t began_at_ms = clock_at_ms();

    if (!analytics->is_placed && !place(analytics, err))
        return false;
    if (!fetch(analytics, &inbox, err))
        return false;
    if (inbox.count == 0)
        return rest(analytics, began_at_ms, err);
    while (inbox.next < inbox.count) {
        size_t first = inbox.next;

        if (!fold(analytics, &inbox, err)) {
            analytics_reset(analytics);
            return false;
        }

        const struct reader_message *last = &inbox.messages[inbox.next - 1];

        if (last->seq <= analytics->position) {
            recent_commit(analytics->recent); /* only read for its ids */
            continue;
        }
        if (!apply(analytics, last->seq, last->stored_at_ms, err))
            return false;
        note(analytics, last, inbox.next - first);
    }
    reader_advance(analytics->options.reader, inbox.messages[inbox.count - 1].seq);
    return true;
}

void analytics_reset(struct analytics *analytics)
{
    fold_reset(analytics->fold);
    recent_rollback(analytics->recent);
    memset(analytics->counted, 0, sizeof(analytics->counted));
    analytics->filtered = 0;
    analytics->is_placed = false;
}

bool analytics_is_waiting(const struct analytics *analytics)
{
    return analytics->is_waiting;
}

/* Begins a little before the stored position: those messages only fill the filter. */
static bool place(struct analytics *self, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    char key[BUCKET_KEY_MAX];
    uint64_t position = 0;

    bucket_key_position(key, self->options.partition);
    if (!redis_text(self->options.redis, &reply, err, "GET %s", key))
        return false;
    self->is_waiting = reply->type != REDIS_REPLY_STRING;
    if (self->is_waiting)
        return error_set(err, ERROR_UNAVAILABLE, "analytics: partition %u waits for a rebuild",
                         self->options.partition);
    position = strtoull(reply->str, NULL, 10);
    recent_clear(self->recent);
    self->position = position;
    self->is_placed = true;
    self->wait_ms = 0;
    reader_rewind(self->options.reader, position > WARM_MESSAGES ? position - WARM_MESSAGES : 0);
    log_info("partition_placed", "partition=%u position=%" PRIu64, self->options.partition,
             position);
    return true;
}

static bool fetch(struct analytics *self, struct inbox *inbox, struct error *err)
{
    return reader_fetch(self->options.reader, self->options.idle_wait_ms, (int)self->wait_ms,
                        &inbox->messages, &inbox->count, err);
}

static bool on_event(void *ctx, size_t index, const struct event *event, const char *why);

/* What on_event needs: whose message it is. */
struct decoding {
    struct analytics *self;
    uint64_t seq;
};

/* Message by message until the fold is full; a message is never split. */
static bool fold(struct analytics *self, struct inbox *inbox, struct error *err)
{
    uint64_t folded = self->position;

    changes_reset(self->changes, clock_at_ms() / SECOND_MS);
    while (inbox->next < inbox->count && !fold_is_full(self->fold)) {
        const struct reader_message *message = &inbox->messages[inbox->next++];
        struct decoding decoding = {.self = self, .seq = message->seq};
        struct codec_header header;
        struct error unreadable;

        if (message->seq > folded + 1) {
            log_error("stream_gap", "partition=%u after=%" PRIu64 " next=%" PRIu64,
                      self->options.partition, folded, message->seq);
            metrics_add(self->options.metrics, METRIC_stream_gap_messages_total,
                        (int64_t)(message->seq - folded - 1));
        }
        if (message->seq > folded)
            folded = message->seq;
        if (!codec_read_batch(message->bytes, message->size_bytes, &header, on_event, &decoding,
                              &unreadable)) {
            metrics_add(self->options.metrics, METRIC_events_unreadable_total, 1);
            log_warn("message_skipped", "partition=%u seq=%" PRIu64 " why=\"%s\"",
                     self->options.partition, message->seq, unreadable.text);
        }
        if (self->is_out_of_memory) {
            self->is_out_of_memory = false;
            return error_set(err, ERROR_LIMIT, "analytics: no memory for the counts of a message");
        }
    }
    return true;
}

/*
 * An event whose ad the gateway could not look up may be a dead letter now and be accepted under
 * the same id later: it is not remembered, so that its second copy counts as well.
 */
static bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct decoding *decoding = ctx;
    struct analytics *self = decoding->self;

    (void)index;
    if (event == NULL) {
        metrics_add(self->options.metrics, METRIC_events_unreadable_total, 1);
        log_debug("event_skipped", "seq=%" PRIu64 " why=\"%s\"", decoding->seq, why);
        return true;
    }
    if ((event->flags & EVENT_AD_UNRESOLVED) == 0 && !recent_add(self->recent, event->id)) {
        self->filtered += decoding->seq > self->position;
        return true;
    }
    if (decoding->seq <= self->position)
        return true; /* counted long ago */
    if (!fold_add(self->fold, event, decoding->seq)) {
        self->is_out_of_memory = true;
        return false;
    }
    self->counted[event->type]++;
    return true;
}

/* Counters and position in one call, or nothing; without messages only the freshness moves. */
static bool apply(struct analytics *self, uint64_t position, int64_t fresh_at_ms, struct error *err)
{
    char expected[24];
    struct changes_guard guard = {.kind = CHANGES_AT_POSITION,
                                  .expected = expected,
                                  .next_position = &position,
                                  .fresh_at_ms = fresh_at_ms};
    struct changes_result result;
    int64_t began_us = clock_now_us();

    snprintf(expected, sizeof(expected), "%" PRIu64, self->position);
    apply_fold(self->fold, self->changes);
    if (!changes_run(self->changes, self->options.redis, &guard, &result, err)) {
        analytics_reset(self);
        return false;
    }
    if (result.is_lost) {
        metrics_add(self->options.metrics, METRIC_applies_lost_total, 1);
        analytics_reset(self);
        return error_set(err, ERROR_UNAVAILABLE,
                         "analytics: partition %u: the position is %s%" PRIu64 ", not %s",
                         self->options.partition, result.has_position ? "" : "gone, ",
                         result.position, expected);
    }

    int64_t ended_us = clock_now_us();

    self->position = position;
    self->fresh_set_ms = ended_us / 1000;
    self->wait_ms = FOLD_WAIT_FACTOR * (ended_us - began_us) / 1000;
    if (self->wait_ms > self->options.fold_wait_ms)
        self->wait_ms = self->options.fold_wait_ms;
    metrics_observe(self->options.metrics, METRIC_apply_seconds,
                    (double)(ended_us - began_us) / 1e6);
    return true;
}

/* The call has taken effect: what was only tried becomes known. */
static void note(struct analytics *self, const struct reader_message *last, size_t messages)
{
    struct metrics *metrics = self->options.metrics;
    uint32_t partition = self->options.partition;
    double age_s = (double)(clock_at_ms() - last->stored_at_ms) / SECOND_MS;

    metrics_observe(metrics, METRIC_fold_entries, (double)fold_entries(self->fold));
    metrics_observe(metrics, METRIC_fold_messages, (double)messages);
    metrics_add(metrics, METRIC_applies_total, 1);
    metrics_add(metrics, METRIC_events_filtered_total, self->filtered);
    metrics_set_by(metrics, METRIC_lag_messages, partition,
                   (double)reader_pending(self->options.reader));
    metrics_set_by(metrics, METRIC_fresh_seconds, partition, age_s);
    for (size_t type = 0; type < EVENT_TYPE_COUNT; type++) {
        if (self->counted[type] > 0)
            metrics_add_by(metrics, METRIC_events_counted_total, type, self->counted[type]);
        self->counted[type] = 0;
    }
    self->filtered = 0;
    recent_commit(self->recent);
    fold_reset(self->fold);
}

/* Nothing came: all that was published before the wait began is counted. */
static bool rest(struct analytics *self, int64_t at_ms, struct error *err)
{
    if (reader_pending(self->options.reader) > 0 ||
        clock_now_ms() - self->fresh_set_ms < FRESH_EVERY_MS)
        return true;
    metrics_set_by(self->options.metrics, METRIC_lag_messages, self->options.partition, 0);
    metrics_set_by(self->options.metrics, METRIC_fresh_seconds, self->options.partition, 0);
    changes_reset(self->changes, at_ms / SECOND_MS);
    return apply(self, self->position, at_ms, err);
}
