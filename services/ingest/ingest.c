#include "ingest.h"

#include "ads.h"
#include "base/auto.h"
#include "batch.h"
#include "clients/pg.h"
#include "clients/reader.h"
#include "day.h"
#include "event/event_id.h"
#include "gate.h"
#include "ingest_metrics.h"
#include "partitions.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "store.h"

#include <stdlib.h>

enum { STREAM_CHECK_MS = 10000, DAYS_REMEMBERED = 8, FRESH_EVERY_MS = 1000 };
enum { BEHIND_CHECK_MS = 1000, BEHIND_SURE_MS = 5000 };

struct ingest {
    struct ingest_options options;
    struct bus *bus;       /* borrowed */
    struct pg *pg;         /* borrowed */
    struct reader *reader; /* borrowed */
    struct store *store;
    struct batch *batch;
    struct gate gate;
    uint64_t position; /* of PostgreSQL, when is_located */
    bool is_located;
    bool is_stream_there;
    bool is_behind;                    /* logged once, until it is over */
    int64_t behind_since_ms;           /* monotonic; 0: the stream ends where it should */
    bool is_day_made;                  /* for what is held: once must be enough */
    int64_t stream_checked_ms;         /* monotonic */
    int64_t fresh_at_ms;               /* all that was stored on the stream by then is a row */
    int64_t fresh_told_ms;             /* monotonic */
    const struct reader_message *held; /* fetched and not stored; borrowed from the reader */
    size_t held_count;
    uint64_t uncertain_seq;         /* of a COMMIT without an answer; 0: none */
    struct store_outcome uncertain; /* what it had done, if it took effect */
};

/* The data's path, top to bottom; the definitions follow in this order. */
static bool locate(struct ingest *self, struct error *err);
static bool fetch(struct ingest *self, struct error *err);
static bool decode(struct ingest *self, struct error *err);
static bool store(struct ingest *self, struct store_outcome *out, struct error *err);
static bool settle(struct ingest *self, const struct store_outcome *outcome, struct error *err);
static bool tell_fresh(struct ingest *self, int64_t at_ms, struct error *err);

struct ingest *ingest_new(const struct ingest_options *options, struct bus *bus, struct pg *pg,
                          struct reader *reader)
{
    AUTO(ingest_free) struct ingest *self = calloc(1, sizeof(*self));
    const struct gate_options gate = {
        .partition = options->partition, .slow_ms = options->slow_ms, .lock_ms = options->lock_ms};

    if (self == NULL)
        return NULL;
    self->options = *options;
    self->bus = bus;
    self->pg = pg;
    self->reader = reader;
    self->store = store_new(pg, options->partition);
    self->batch = batch_new(options->partition, options->retention_days);
    if (self->store == NULL || self->batch == NULL)
        return NULL;
    gate_init(&self->gate, &gate, pg);
    return TAKE(self);
}

void ingest_free(struct ingest **ingest)
{
    if (*ingest == NULL)
        return;
    gate_end(&(*ingest)->gate);
    store_free(&(*ingest)->store);
    batch_free(&(*ingest)->batch);
    free(*ingest);
    *ingest = NULL;
}

int64_t ingest_wait_ms(struct ingest *self)
{
    int64_t wait_ms = gate_wait_ms(&self->gate);

    if (gate_is_open(&self->gate))
        ingest_forget(self); /* messages wait on the broker, not here */
    return wait_ms;
}

bool ingest_is_blocked(const struct ingest *self)
{
    return gate_is_open(&self->gate);
}

void ingest_forget(struct ingest *self)
{
    self->is_located = false;
    self->held_count = 0;
}

void ingest_release(struct ingest *self)
{
    ingest_forget(self);
    self->behind_since_ms = 0;
    self->is_behind = false;
    ingest_gauge_by(METRIC_reader_stream_behind_messages, self->options.partition, 0);
    ingest_gauge_by(METRIC_reader_clock_skew_seconds, self->options.partition, 0);
}

bool ingest_step(struct ingest *self, struct error *err)
{
    struct store_outcome outcome = {0};

    if (!self->is_located && !locate(self, err))
        return false;
    if (self->held_count == 0 && !fetch(self, err))
        return false;
    if (self->held_count == 0)
        return tell_fresh(self, reader_drained_at_ms(self->reader), err);
    if (decode(self, err) && store(self, &outcome, err))
        return settle(self, &outcome, err);
    if (gate_take_retry(&self->gate, err))
        return true;     /* with what is held, a little later */
    ingest_forget(self); /* read again from the position that is stored */
    return false;
}

static void count_outcome(const struct store_outcome *outcome)
{
    ingest_count(METRIC_ingest_events_stored_total, (int64_t)outcome->stored);
    ingest_count(METRIC_ingest_duplicates_total, (int64_t)outcome->duplicates);
    ingest_count(METRIC_ingest_batches_repeated_total, (int64_t)outcome->batches_seen);
    ingest_count(METRIC_ingest_batches_reused_total, (int64_t)outcome->batches_reused);
    ingest_count_by(METRIC_ingest_stored_by_total, outcome->way, 1);
    ingest_count(METRIC_ingest_copies_refused_total, outcome->is_copy_refused);
    if (outcome->batches_reused > 0)
        log_error("batch_number_reused",
                  "batches=%llu why=\"two batches bear one number: the "
                  "audit cannot tell them apart; their events are stored\"",
                  (unsigned long long)outcome->batches_reused);
    for (size_t i = 0; i < LETTER_CODE_COUNT; i++)
        ingest_count_by(METRIC_dead_letters_total, i, (int64_t)outcome->letters[i]);
}

/* The position is what tells whether a COMMIT that nobody answered took effect. */
static void resolve_uncertain(struct ingest *self)
{
    bool has_taken_effect = self->position >= self->uncertain_seq;

    if (self->uncertain_seq == 0)
        return;
    log_info("uncertain_commit_resolved", "partition=%u sequence=%llu took_effect=%s",
             self->options.partition, (unsigned long long)self->uncertain_seq,
             has_taken_effect ? "yes" : "no");
    if (has_taken_effect)
        count_outcome(&self->uncertain);
    self->uncertain_seq = 0;
}

/*
 * A broker that was restored from a backup ends before our position: what it takes now has
 * sequences that we hold for done, and would be skipped in silence. In a cluster a follower may
 * hand out a message a moment before the leader, who is asked, has it: what lasts is a loss.
 */
static void tell_behind(struct ingest *self, uint64_t last_seq)
{
    uint64_t behind = self->position > last_seq ? self->position - last_seq : 0;
    int64_t now_ms = clock_now_ms();
    bool is_sure;

    if (behind == 0)
        self->behind_since_ms = 0;
    else if (self->behind_since_ms == 0)
        self->behind_since_ms = now_ms;
    is_sure = behind > 0 && now_ms - self->behind_since_ms >= BEHIND_SURE_MS;
    ingest_gauge_by(METRIC_reader_stream_behind_messages, self->options.partition,
                    is_sure ? (double)behind : 0);
    if (is_sure && !self->is_behind)
        log_error("stream_behind_position",
                  "partition=%u position=%llu last_sequence=%llu why=\"the broker has lost what is "
                  "stored here; new messages below the position are skipped\"",
                  self->options.partition, (unsigned long long)self->position,
                  (unsigned long long)last_seq);
    self->is_behind = is_sure;
}

static bool check_stream(struct ingest *self, struct stream_state *out, struct error *err)
{
    if (!stream_get_state(self->bus, self->options.partition, out, err)) {
        self->is_stream_there = false; /* it may be gone: the next locate makes it again */
        return false;
    }
    self->stream_checked_ms = clock_now_ms();
    tell_behind(self, out->last_seq);
    return true;
}

static bool read_position(struct ingest *self, bool *out_found, struct error *err)
{
    struct breaker_permit permit;

    if (!gate_ask(&self->gate, &permit, err))
        return false;
    return gate_answer(&self->gate, &permit,
                       store_read_position(self->store, &self->position, out_found, err), err);
}

/* A partition's first reader begins before the stream's first message. */
static bool begin_position(struct ingest *self, const struct stream_state *stream,
                           struct error *err)
{
    struct breaker_permit permit;
    uint64_t position = stream->first_seq > 0 ? stream->first_seq - 1 : 0;
    bool is_found = false;

    if (!gate_ask(&self->gate, &permit, err) ||
        !gate_answer(&self->gate, &permit, store_first_position(self->store, position, err), err))
        return false;
    return read_position(self, &is_found, err);
}

static bool locate(struct ingest *self, struct error *err)
{
    struct stream_state stream;
    bool is_found = false;

    if (!read_position(self, &is_found, err))
        return false;
    if (!self->is_stream_there &&
        !stream_ensure(self->bus, self->options.partition, &self->options.stream, self->position,
                       clock_at_ms(), err))
        return false;
    self->is_stream_there = true;
    if (!check_stream(self, &stream, err))
        return false;
    if (!is_found && !begin_position(self, &stream, err))
        return false;
    resolve_uncertain(self);
    reader_rewind(self->reader, self->position);
    ingest_gauge_by(METRIC_reader_position, self->options.partition, (double)self->position);
    self->held_count = 0;
    self->is_located = true;
    return true;
}

static void tell_gap(const struct ingest *self)
{
    uint64_t gap = reader_gap(self->reader);

    if (gap == 0)
        return;
    ingest_count(METRIC_reader_stream_gaps_total, 1);
    ingest_count(METRIC_reader_gap_messages_total, (int64_t)gap);
    log_error("stream_gap",
              "partition=%u position=%llu skipped=%llu why=\"messages that were not read are not "
              "on the stream any more\"",
              self->options.partition, (unsigned long long)self->position, (unsigned long long)gap);
}

static bool fetch(struct ingest *self, struct error *err)
{
    int check_ms = self->behind_since_ms == 0 ? STREAM_CHECK_MS : BEHIND_CHECK_MS;
    struct stream_state stream;

    if (!reader_fetch(self->reader, self->options.wait_ms, self->options.linger_ms, &self->held,
                      &self->held_count, err)) {
        self->is_stream_there = self->is_stream_there && err->kind != ERROR_INVALID;
        ingest_forget(self);
        return false;
    }
    if (self->held_count > 0) {
        tell_gap(self);
        tell_behind(self, self->held[0].seq); /* beyond the position */
    } else if (clock_now_ms() - self->stream_checked_ms > check_ms &&
               !check_stream(self, &stream, err)) {
        ingest_forget(self);
        return false;
    }
    ingest_gauge_by(METRIC_reader_lag_messages, self->options.partition,
                    (double)(reader_pending(self->reader) + self->held_count));
    return true;
}

/* What cannot be read is set aside in the batch. */
static bool decode(struct ingest *self, struct error *err)
{
    size_t messages_max = gate_batch_limit(&self->gate, self->held_count);
    size_t taken = 0;

    batch_reset(self->batch, clock_at_ms());
    if (messages_max == 0)
        return error_set(err, ERROR_UNAVAILABLE, "ingest: the database's breaker is open");
    while (taken < self->held_count && taken < messages_max &&
           self->batch->row_count < self->options.batch_events)
        if (!batch_add(self->batch, &self->held[taken++], err))
            return false;
    return true;
}

/* The days whose tables were made last; rows of a batch have few of them, in any order. */
struct days {
    int64_t days[DAYS_REMEMBERED];
    size_t count;
};

static bool make_day(struct ingest *self, struct days *made, int64_t at_ms, struct error *err)
{
    int64_t day = day_of_ms(at_ms);

    for (size_t i = 0; i < made->count && i < DAYS_REMEMBERED; i++)
        if (made->days[i] == day)
            return true;
    made->days[made->count++ % DAYS_REMEMBERED] = day;
    return partitions_make(self->pg, day, err);
}

/*
 * Days of the batch that have no tables are made, and the next step stores it. A message without a
 * row has a day, too: that of its own row in batches.
 */
static bool make_days(struct ingest *self, struct error *err)
{
    const struct batch *batch = self->batch;
    struct days made = {.count = 0};

    if (self->is_day_made) {
        self->is_day_made = false;
        return error_set(err, ERROR_INTERNAL, "ingest: its days have tables that take no rows");
    }
    for (size_t i = 0; i < batch->head_count; i++)
        if (batch->heads[i].is_filed &&
            !make_day(self, &made, batch->heads[i].header.sent_at_ms, err))
            return false;
    for (size_t i = 0; i < batch->row_count; i++)
        if (batch->rows[i].fate != ROW_DEAD &&
            !make_day(self, &made, event_id_at_ms(batch->rows[i].event.id), err))
            return false;
    self->is_day_made = true;
    return true;
}

/* Rows, dead letters and position, or nothing. */
static bool store(struct ingest *self, struct store_outcome *out, struct error *err)
{
    struct breaker_permit permit;
    int64_t began_us = clock_now_us();
    bool is_done = false;

    if (!gate_ask(&self->gate, &permit, err))
        return false;
    is_done = ads_resolve(self->pg, self->batch, err) &&
              store_write(self->store, self->batch, self->position, out, err) &&
              (out->verdict != STORE_NO_DAY || make_days(self, err));
    (void)gate_answer(&self->gate, &permit, is_done, err);
    ingest_observe(METRIC_ingest_store_seconds, (double)(clock_now_us() - began_us) / 1e6);
    if (is_done)
        return true;
    ingest_count_by(METRIC_ingest_transactions_total,
                    err->kind == ERROR_UNCERTAIN ? RESULT_UNCERTAIN : RESULT_FAILED, 1);
    if (err->kind == ERROR_UNCERTAIN && out->verdict == STORE_DONE) {
        self->uncertain_seq = batch_last_seq(self->batch);
        self->uncertain = *out;
    }
    return false;
}

/* Gateways and we read clocks that nobody keeps in step but their machines. */
static void show_ages(const struct ingest *self)
{
    int64_t newest_at_ms = INT64_MIN;
    int64_t oldest_at_ms = INT64_MAX;
    int64_t at_ms = clock_at_ms();

    for (size_t i = 0; i < self->batch->row_count; i++) {
        int64_t received_at_ms = self->batch->rows[i].event.received_at_ms;

        newest_at_ms = received_at_ms > newest_at_ms ? received_at_ms : newest_at_ms;
        oldest_at_ms = received_at_ms < oldest_at_ms ? received_at_ms : oldest_at_ms;
    }
    if (newest_at_ms == INT64_MIN)
        return; /* a heartbeat tells neither */
    ingest_gauge_by(METRIC_reader_clock_skew_seconds, self->options.partition,
                    (double)(newest_at_ms - at_ms) / 1e3);
    ingest_observe(METRIC_reader_freshness_seconds,
                   at_ms > oldest_at_ms ? (double)(at_ms - oldest_at_ms) / 1e3 : 0);
}

static void note_fresh(struct ingest *self, int64_t at_ms)
{
    self->fresh_at_ms = at_ms;
    self->fresh_told_ms = clock_now_ms();
    ingest_gauge_by(METRIC_reader_fresh_at_seconds, self->options.partition, (double)at_ms / 1e3);
}

/* Committed: the messages are done with, and the reader may forget them. */
static void advance(struct ingest *self, const struct store_outcome *outcome)
{
    size_t messages = self->batch->head_count;

    self->position = batch_last_seq(self->batch);
    note_fresh(self, self->batch->heads[messages - 1].stored_at_ms);
    gate_settle(&self->gate);
    self->is_day_made = false;
    self->held += messages;
    self->held_count -= messages;
    if (self->held_count == 0) /* what is held beyond it would come again */
        reader_advance(self->reader, self->position);
    count_outcome(outcome);
    show_ages(self);
    ingest_observe(METRIC_ingest_batch_events, (double)self->batch->row_count);
    ingest_gauge_by(METRIC_reader_position, self->options.partition, (double)self->position);
    ingest_gauge_by(METRIC_reader_lag_messages, self->options.partition,
                    (double)(reader_pending(self->reader) + self->held_count));
}

static bool settle(struct ingest *self, const struct store_outcome *outcome, struct error *err)
{
    switch (outcome->verdict) {
    case STORE_DONE:
        ingest_count_by(METRIC_ingest_transactions_total, RESULT_STORED, 1);
        advance(self, outcome);
        return true;
    case STORE_NO_DAY:
        ingest_count_by(METRIC_ingest_transactions_total, RESULT_NO_DAY, 1);
        log_info("day_made_late", "partition=%u", self->options.partition);
        return true; /* what is held is still to be stored */
    case STORE_LOST:
        ingest_count_by(METRIC_ingest_transactions_total, RESULT_LOST, 1);
        ingest_forget(self);
        return error_set(err, ERROR_LIMIT,
                         "ingest: another process has moved the position of partition %u",
                         self->options.partition);
    }
    return error_set(err, ERROR_INTERNAL, "ingest: a verdict without an answer");
}

/* Once a second while nothing comes: what reads this database without Redis says by it how old its
 * numbers are. What is stored tells it itself. */
static bool tell_fresh(struct ingest *self, int64_t at_ms, struct error *err)
{
    struct breaker_permit permit;

    if (at_ms <= self->fresh_at_ms || clock_now_ms() - self->fresh_told_ms < FRESH_EVERY_MS)
        return true;
    if (!gate_ask(&self->gate, &permit, err) ||
        !gate_answer(&self->gate, &permit, store_set_fresh(self->store, at_ms, err), err)) {
        ingest_forget(self);
        return false;
    }
    note_fresh(self, at_ms);
    return true;
}
