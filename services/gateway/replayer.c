#include "replayer.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "base/told.h"
#include "clients/guard.h"
#include "inbox.h"
#include "replay_wire.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "spool.h"
#include "stopper.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    CONNECT_MS = 1000,
    REQUEST_MS = 1000,
    REPORT_MS = 500,
    PERMIT_MS = 4 * REPLAY_ROUND_MS, /* connect, claim and the round */
    ROUNDS_A_SECOND = 10,            /* what one round takes is a tenth of the rate */
    FAILED_BASE_MS = 100,
    FAILED_CAP_MS = 2000,
    SOURCES_MAX = SPOOL_ADOPTED_MAX + 2,
    PAYLOAD_UNKNOWN = INT32_MAX,
};

/* A source that could not be claimed from, or settled. */
struct rest {
    const void *ctx; /* the source's; NULL: nobody rests here */
    int64_t until_ms;
    struct backoff backoff;
};

struct replayer {
    struct replayer_options options;
    pthread_t thread;
    bool has_thread;
    struct stopper stopper;
    /* The thread's own from here on. */
    struct replay_wire *wire;
    struct guard guard;
    struct rest rests[SOURCES_MAX];
    struct kept_rows *rows;
    bool was_connected;
    size_t payload_max;
    int64_t report_at_ms;
    int64_t blocked_until_ms[KEPT_PARTITIONS_MAX];
    bool is_on_trial; /* a stream has refused: one row at a time until it takes one */
    struct told last_failure;
};

/* The thread's step; the definitions follow in this order. */
static void *on_thread(void *ctx);
static int64_t step(struct replayer *self);
static void look_around(struct replayer *self, int64_t now_ms);
static bool reach(struct replayer *self, struct breaker_permit *out_permit);
static int64_t run_round(struct replayer *self, const struct replay_source *source);
static int64_t rest(struct replayer *self, const struct replay_source *source);
static void publish(struct replayer *self, const struct breaker_permit *permit,
                    struct replay_tally *tally);
static bool settle(struct replayer *self, const struct replay_source *source);

static void init_guard(struct replayer *self)
{
    struct guard_options guard = {
        .dependency = GUARD_NATS, .what = "replay", .breaker = breaker_default_options()};

    guard.breaker.slow_ms = REPLAY_ROUND_MS;
    guard.breaker.permit_ms = PERMIT_MS;
    guard_init(&self->guard, &guard, (uint64_t)clock_now_us(), clock_now_ms());
}

struct replayer *replayer_open(const struct replayer_options *options, struct error *err)
{
    AUTO(replayer_close) struct replayer *self = calloc(1, sizeof(*self));
    const struct bus_options bus = {.endpoint = options->nats,
                                    .name = "adledger gateway replayer",
                                    .connect_ms = CONNECT_MS,
                                    .request_ms = REQUEST_MS};

    if (self != NULL)
        stopper_init(&self->stopper);
    if (self != NULL)
        self->rows = calloc(1, sizeof(*self->rows));
    if (self == NULL || self->rows == NULL) {
        error_set(err, ERROR_LIMIT, "replay: no memory");
        return NULL;
    }
    self->options = *options;
    self->payload_max = PAYLOAD_UNKNOWN;
    init_guard(self);
    self->wire = replay_wire_open(&bus, REPLAY_ACK_MS, options->queued_max_ms, err);
    if (self->wire == NULL)
        return NULL;
    if (pthread_create(&self->thread, NULL, on_thread, self) != 0) {
        error_set(err, ERROR_LIMIT, "replay: no thread");
        return NULL;
    }
    self->has_thread = true;
    (void)pthread_setname_np(self->thread, "replayer");
    return TAKE(self);
}

void replayer_close(struct replayer **replayer)
{
    struct replayer *self = *replayer;

    if (self == NULL)
        return;
    stopper_stop(&self->stopper);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    replay_wire_close(&self->wire);
    guard_end(&self->guard);
    stopper_free(&self->stopper);
    free(self->rows);
    free(self);
    *replayer = NULL;
}

static void *on_thread(void *ctx)
{
    struct replayer *self = ctx;

    while (stopper_wait(&self->stopper, step(self)))
        ;
    return NULL;
}

static void report_failure(struct replayer *self, const char *source, const struct error *err)
{
    if (told_is_news(&self->last_failure, err))
        log_warn("replay_failed", "source=\"%s\" why=\"%s\"", source, err->text);
}

/* Returns how long to wait for the next. */
static int64_t step(struct replayer *self)
{
    struct replay_source sources[SOURCES_MAX];
    struct breaker_permit permit;
    int64_t wait_ms = REPLAY_IDLE_MS;
    size_t count;

    (void)guard_step(&self->guard, clock_now_ms());
    look_around(self, clock_now_ms());
    if (!replay_wire_is_connected(self->wire)) { /* as early as possible, not with the first row */
        if (reach(self, &permit))
            guard_report(&self->guard, &permit, BREAKER_SUCCESS, clock_now_ms());
        return REPLAY_IDLE_MS;
    }
    count = spool_sources(self->options.spool, sources);
    if (inbox_has_rows(self->options.inbox))
        sources[count++] = inbox_source(self->options.inbox);
    for (size_t i = 0; i < count && !stopper_is_stopped(&self->stopper); i++) {
        int64_t next_ms = run_round(self, &sources[i]);

        if (next_ms < wait_ms)
            wait_ms = next_ms;
    }
    return wait_ms;
}

static void look_around(struct replayer *self, int64_t now_ms)
{
    bool is_connected;

    replay_wire_tend(self->wire);
    is_connected = replay_wire_is_connected(self->wire);
    if (is_connected && !self->was_connected) {
        guard_reconnected(&self->guard, now_ms);
        replay_wire_reconnected(self->wire);
    }
    self->was_connected = is_connected;
    spool_tend(self->options.spool, now_ms);
    inbox_look(self->options.inbox, self->payload_max, now_ms);
    if (now_ms < self->report_at_ms)
        return;
    self->report_at_ms = now_ms + REPORT_MS;
    spool_report(self->options.spool);
}

/* A permit, with a connection. */
static bool reach(struct replayer *self, struct breaker_permit *out_permit)
{
    struct error err;

    if (!guard_allow(&self->guard, clock_now_ms(), out_permit))
        return false;
    if (!replay_wire_connect(self->wire, &err)) {
        guard_report(&self->guard, out_permit, BREAKER_CONNECT_FAILURE, clock_now_ms());
        report_failure(self, "nats", &err);
        return false;
    }
    self->payload_max = replay_wire_payload_max(self->wire);
    return true;
}

static struct kept_limits limits_now(const struct replayer *self, int64_t now_ms)
{
    struct kept_limits limits = {
        .rows_max = breaker_batch_limit(&self->guard.breaker, REPLAY_ROUND_ROWS),
        .bytes_max = REPLAY_ROUND_BYTES,
        .events_max = (uint64_t)self->options.events_per_s / ROUNDS_A_SECOND,
        .payload_max = self->payload_max,
    };
    size_t a_tenth = (size_t)self->options.batches_per_s / ROUNDS_A_SECOND + 1;

    if (limits.rows_max > a_tenth)
        limits.rows_max = a_tenth;
    if (self->is_on_trial)
        limits.rows_max = 1;
    for (size_t p = 0; p < KEPT_PARTITIONS_MAX; p++) {
        if (now_ms < self->blocked_until_ms[p])
            limits.skip_partitions |= UINT64_C(1) << p;
    }
    return limits;
}

/* How long the rates ask to wait after a round that took spent_ms. */
static int64_t pace_ms(const struct replayer *self, const struct replay_tally *tally,
                       int64_t spent_ms)
{
    int64_t by_events = (int64_t)tally->events * 1000 / self->options.events_per_s;
    int64_t by_batches = (int64_t)tally->stored * 1000 / self->options.batches_per_s;
    int64_t due_ms = (by_events > by_batches ? by_events : by_batches) - spent_ms;

    return due_ms > 0 ? due_ms : 0;
}

static struct rest *find_rest(struct replayer *self, const void *ctx)
{
    for (size_t i = 0; i < SOURCES_MAX; i++) {
        if (self->rests[i].ctx == ctx)
            return &self->rests[i];
    }
    return NULL;
}

static bool rests(struct replayer *self, const struct replay_source *source)
{
    const struct rest *found = find_rest(self, source->ctx);

    return found != NULL && clock_now_ms() < found->until_ms;
}

/* Else it would publish the same, on and on. A place is a source's for good: there are no more of
 * them than places. */
static int64_t rest(struct replayer *self, const struct replay_source *source)
{
    struct rest *found = find_rest(self, source->ctx);
    int64_t wait_ms;

    if (found == NULL) {
        found = find_rest(self, NULL);
        assert(found != NULL);
        found->ctx = source->ctx;
        backoff_init(&found->backoff, FAILED_BASE_MS, FAILED_CAP_MS, (uint64_t)clock_now_us());
    }
    wait_ms = backoff_next_ms(&found->backoff);
    found->until_ms = clock_now_ms() + wait_ms;
    return wait_ms;
}

static void end_rest(struct replayer *self, const struct replay_source *source)
{
    struct rest *found = find_rest(self, source->ctx);

    if (found != NULL)
        backoff_reset(&found->backoff);
}

/* Returns how long to wait before the next round of it. */
static int64_t run_round(struct replayer *self, const struct replay_source *source)
{
    int64_t began_ms = clock_now_ms();
    struct breaker_permit permit;
    struct replay_tally tally = {0};
    struct kept_limits limits;
    struct error err;
    int64_t wait_ms;
    bool is_settled;

    if (rests(self, source) || !reach(self, &permit))
        return REPLAY_IDLE_MS;
    limits = limits_now(self, began_ms);
    if (!source->claim(source->ctx, &limits, self->rows, &err)) {
        breaker_cancel(&self->guard.breaker, &permit, clock_now_ms());
        kept_rows_reset(self->rows);
        report_failure(self, source->name, &err);
        return rest(self, source);
    }
    if (self->rows->count == 0) {
        breaker_cancel(&self->guard.breaker, &permit, clock_now_ms());
        return REPLAY_IDLE_MS;
    }
    publish(self, &permit, &tally);
    is_settled = settle(self, source);
    kept_rows_reset(self->rows);
    if (!is_settled)
        return rest(self, source);
    end_rest(self, source);
    wait_ms = pace_ms(self, &tally, clock_now_ms() - began_ms);
    return tally.stored > 0 ? wait_ms : REPLAY_IDLE_MS;
}

static enum breaker_result judge(const struct replay_tally *tally)
{
    bool is_answered = tally->stored + tally->refused + tally->unheard > 0;

    return is_answered ? BREAKER_SUCCESS : BREAKER_FAILURE;
}

static void publish(struct replayer *self, const struct breaker_permit *permit,
                    struct replay_tally *tally)
{
    struct error err = {0};
    bool is_sent = replay_wire_send(self->wire, self->rows, tally, &err);
    int64_t now_ms = clock_now_ms();

    if (!is_sent)
        report_failure(self, "nats", &err);
    else if (tally->stored > 0)
        told_reset(&self->last_failure);
    if (is_sent && tally->sent == 0)
        breaker_cancel(&self->guard.breaker, permit, now_ms);
    else
        guard_report(&self->guard, permit, is_sent ? judge(tally) : BREAKER_FAILURE, now_ms);
    if (tally->stored > 0)
        self->is_on_trial = false;
    if (tally->blocked_partitions != 0)
        self->is_on_trial = true;
    for (size_t p = 0; p < KEPT_PARTITIONS_MAX; p++) {
        if ((tally->blocked_partitions >> p & 1U) != 0)
            self->blocked_until_ms[p] = now_ms + REPLAY_BLOCKED_MS;
    }
    gateway_count(GATEWAY_replay_refused_total, (int64_t)tally->refused);
    gateway_count(GATEWAY_replay_silent_total,
                  (int64_t)(tally->sent - tally->stored - tally->refused));
}

static void tell_damaged(const struct replayer *self, const char *source)
{
    for (size_t i = 0; i < self->rows->count; i++) {
        const struct kept_row *row = &self->rows->rows[i];
        char id[KEPT_KEY_SIZE];

        if (row->fate != FATE_DAMAGED)
            continue;
        kept_batch_id(&row->batch, id);
        log_error("batch_set_aside", "source=\"%s\" batch=%s size_bytes=%zu why=\"%s\"", source, id,
                  row->batch.size_bytes, row->why);
    }
}

static bool settle(struct replayer *self, const struct replay_source *source)
{
    bool is_inbox = source->ctx == self->options.inbox;
    struct error err;

    if (!source->settle(source->ctx, self->rows, &err)) {
        report_failure(self, source->name, &err);
        return false;
    }
    tell_damaged(self, source->name);
    gateway_count(is_inbox ? GATEWAY_inbox_replayed_batches_total
                           : GATEWAY_spool_replayed_batches_total,
                  (int64_t)kept_rows_count(self->rows, FATE_PUBLISHED));
    gateway_count(GATEWAY_spool_damaged_total, (int64_t)kept_rows_count(self->rows, FATE_DAMAGED));
    return true;
}
