#include "base/breaker.h"

#include <assert.h>
#include <string.h>

enum { TENTHS = 10, RAMP_STAGES = 2, DOUBLINGS_MAX = 20 };

struct breaker_options breaker_default_options(void)
{
    return (struct breaker_options){
        .bucket_ms = 1000,
        .attempts_min = 5,
        .failed_percent = 50,
        .slow_percent = 80,
        .slow_ms = 1000,
        .connect_failures_max = 3,
        .cooldown_base_ms = 250,
        .cooldown_cap_ms = 8000,
        .cooldown_reset_ms = 60000,
        .permit_ms = 5000,
        .successes_to_close = 3,
        .ramp_first = 10,
        .ramp_second = 100,
        .retries_max = 3,
        .retry_base_ms = 50,
        .retry_cap_ms = 1000,
        .retry_tokens_max = 10,
        .retry_earned_tenths = 1,
    };
}

void breaker_init(struct breaker *self, const struct breaker_options *options, uint64_t seed,
                  int64_t now_ms, breaker_change_fn on_change, void *ctx)
{
    assert(options->bucket_ms > 0 && options->cooldown_base_ms > 0 && options->permit_ms > 0);
    *self = (struct breaker){
        .options = *options,
        .state = BREAKER_CLOSED,
        .latest_ms = now_ms,
        .entered_ms = now_ms,
        .ramp_stage = RAMP_STAGES, /* nothing has failed yet: full batches from the start */
        .tokens_tenths = options->retry_tokens_max * TENTHS,
        .random = {seed},
        .on_change = on_change,
        .ctx = ctx,
    };
}

/* A caller's reading may be older than the last one; the window and the cooldowns only go on. */
static void move_clock(struct breaker *self, int64_t now_ms)
{
    if (now_ms > self->latest_ms)
        self->latest_ms = now_ms;
}

static int64_t next_cooldown_ms(struct breaker *self)
{
    int64_t top_ms = backoff_top_ms(self->options.cooldown_base_ms, self->options.cooldown_cap_ms,
                                    self->openings);

    return random_between(&self->random, (top_ms + 1) / 2, top_ms);
}

/* What holds on arrival in OPEN; from_ms is how long the state before had lasted. */
static void begin_open(struct breaker *self, enum breaker_state from, int64_t from_ms)
{
    if (from == BREAKER_CLOSED && from_ms >= self->options.cooldown_reset_ms)
        self->openings = 0;
    self->cooldown_ms = next_cooldown_ms(self);
    if (self->openings < DOUBLINGS_MAX)
        self->openings++;
}

static void begin_closed(struct breaker *self)
{
    memset(self->buckets, 0, sizeof(self->buckets));
    self->connect_failures = 0;
    self->ramp_stage = 0;
}

/* The only place that changes the state. */
static void enter(struct breaker *self, enum breaker_state next, enum breaker_reason reason)
{
    enum breaker_state from = self->state;
    int64_t from_ms = self->latest_ms - self->entered_ms;
    struct breaker_change change = {from, next, reason, self->latest_ms, 0};

    if (from == BREAKER_OPEN)
        self->open_total_ms += from_ms;
    self->state = next;
    self->generation++;
    self->entered_ms = self->latest_ms;
    self->is_trial_out = false;
    self->trial_successes = 0;
    if (next == BREAKER_OPEN)
        begin_open(self, from, from_ms);
    else if (next == BREAKER_CLOSED)
        begin_closed(self);
    change.cooldown_ms = next == BREAKER_OPEN ? self->cooldown_ms : 0;
    if (self->on_change != NULL)
        self->on_change(self->ctx, &change);
}

enum breaker_state breaker_step(struct breaker *self, int64_t now_ms)
{
    move_clock(self, now_ms);
    if (self->state == BREAKER_HALF_OPEN && self->is_trial_out &&
        self->latest_ms >= self->trial_ends_ms)
        enter(self, BREAKER_OPEN, BREAKER_REASON_EXPIRED);
    if (self->state == BREAKER_OPEN && self->latest_ms - self->entered_ms >= self->cooldown_ms)
        enter(self, BREAKER_HALF_OPEN, BREAKER_REASON_COOLDOWN);
    return self->state;
}

bool breaker_allow(struct breaker *self, int64_t now_ms, struct breaker_permit *out_permit)
{
    enum breaker_state state = breaker_step(self, now_ms);

    if (state == BREAKER_OPEN || (state == BREAKER_HALF_OPEN && self->is_trial_out))
        return false;
    if (state == BREAKER_HALF_OPEN) {
        self->is_trial_out = true;
        self->trial_ends_ms = self->latest_ms + self->options.permit_ms;
    }
    *out_permit = (struct breaker_permit){self->generation, ++self->last_serial, self->latest_ms};
    return true;
}

static struct breaker_bucket *current_bucket(struct breaker *self)
{
    int64_t index = self->latest_ms / self->options.bucket_ms;
    struct breaker_bucket *bucket = &self->buckets[(uint64_t)index % BREAKER_BUCKETS];

    if (bucket->index != index)
        *bucket = (struct breaker_bucket){.index = index};
    return bucket;
}

static struct breaker_bucket sum_window(const struct breaker *self)
{
    int64_t newest = self->latest_ms / self->options.bucket_ms;
    struct breaker_bucket sum = {0};

    for (size_t i = 0; i < BREAKER_BUCKETS; i++) {
        const struct breaker_bucket *bucket = &self->buckets[i];

        if (newest - bucket->index >= BREAKER_BUCKETS)
            continue;
        sum.attempts += bucket->attempts;
        sum.failed += bucket->failed;
        sum.slow += bucket->slow;
    }
    return sum;
}

static void judge(struct breaker *self, enum breaker_result result)
{
    const struct breaker_options *options = &self->options;
    struct breaker_bucket sum = sum_window(self);

    if (result == BREAKER_CONFIGURATION)
        enter(self, BREAKER_OPEN, BREAKER_REASON_CONFIGURATION);
    else if (self->connect_failures >= options->connect_failures_max)
        enter(self, BREAKER_OPEN, BREAKER_REASON_CONNECT);
    else if (sum.attempts < options->attempts_min)
        return;
    else if (sum.failed * 100 >= sum.attempts * options->failed_percent)
        enter(self, BREAKER_OPEN, BREAKER_REASON_FAILED);
    else if (sum.slow * 100 >= sum.attempts * options->slow_percent)
        enter(self, BREAKER_OPEN, BREAKER_REASON_SLOW);
}

static void report_closed(struct breaker *self, const struct breaker_permit *permit,
                          enum breaker_result result)
{
    struct breaker_bucket *bucket = current_bucket(self);

    bucket->attempts++;
    bucket->failed += result != BREAKER_SUCCESS;
    bucket->slow += self->latest_ms - permit->since_ms > self->options.slow_ms;
    /* Any other result means that a connection was there. */
    self->connect_failures = result == BREAKER_CONNECT_FAILURE ? self->connect_failures + 1 : 0;
    if (result == BREAKER_SUCCESS && self->ramp_stage < RAMP_STAGES)
        self->ramp_stage++;
    judge(self, result);
}

static void report_trial(struct breaker *self, enum breaker_result result)
{
    self->is_trial_out = false;
    if (result != BREAKER_SUCCESS)
        enter(self, BREAKER_OPEN, BREAKER_REASON_TRIAL);
    else if (++self->trial_successes >= self->options.successes_to_close)
        enter(self, BREAKER_CLOSED, BREAKER_REASON_RECOVERED);
}

/* Whether an answer to this permit still means something. */
static bool is_current(const struct breaker *self, const struct breaker_permit *permit)
{
    if (permit->generation != self->generation)
        return false;
    return self->state == BREAKER_CLOSED ||
           (self->is_trial_out && permit->serial == self->last_serial);
}

static void earn_token(struct breaker *self)
{
    int full = self->options.retry_tokens_max * TENTHS;

    self->tokens_tenths += self->options.retry_earned_tenths;
    if (self->tokens_tenths > full)
        self->tokens_tenths = full;
}

void breaker_report(struct breaker *self, const struct breaker_permit *permit,
                    enum breaker_result result, int64_t now_ms)
{
    (void)breaker_step(self, now_ms); /* a trial past its deadline has failed, whatever it says */
    if (!is_current(self, permit))
        return;
    if (result == BREAKER_SUCCESS)
        earn_token(self);
    if (self->state == BREAKER_CLOSED)
        report_closed(self, permit, result);
    else
        report_trial(self, result);
}

void breaker_cancel(struct breaker *self, const struct breaker_permit *permit, int64_t now_ms)
{
    (void)breaker_step(self, now_ms);
    if (is_current(self, permit))
        self->is_trial_out = false;
}

void breaker_reconnected(struct breaker *self, int64_t now_ms)
{
    if (breaker_step(self, now_ms) == BREAKER_OPEN)
        enter(self, BREAKER_HALF_OPEN, BREAKER_REASON_RECONNECT);
}

int64_t breaker_wait_ms(const struct breaker *self, int64_t now_ms)
{
    int64_t ends_ms = now_ms;

    if (self->state == BREAKER_OPEN)
        ends_ms = self->entered_ms + self->cooldown_ms;
    else if (self->state == BREAKER_HALF_OPEN && self->is_trial_out)
        ends_ms = self->trial_ends_ms;
    return ends_ms > now_ms ? ends_ms - now_ms : 0;
}

size_t breaker_batch_limit(const struct breaker *self, size_t full)
{
    const size_t ramp[RAMP_STAGES + 1] = {self->options.ramp_first, self->options.ramp_second,
                                          full};
    size_t limit = self->state == BREAKER_OPEN ? 0 : 1;

    if (self->state == BREAKER_CLOSED)
        limit = ramp[self->ramp_stage];
    return limit < full ? limit : full;
}

bool breaker_take_retry(struct breaker *self, int retry, int64_t *out_wait_ms)
{
    const struct breaker_options *options = &self->options;

    if (retry >= options->retries_max || self->tokens_tenths < TENTHS ||
        self->state == BREAKER_OPEN)
        return false;
    self->tokens_tenths -= TENTHS;
    *out_wait_ms = random_between(
        &self->random, 0, backoff_top_ms(options->retry_base_ms, options->retry_cap_ms, retry));
    return true;
}

double breaker_retry_tokens(const struct breaker *self)
{
    return (double)self->tokens_tenths / TENTHS;
}

int64_t breaker_open_ms(const struct breaker *self, int64_t now_ms)
{
    if (self->state != BREAKER_OPEN || now_ms <= self->entered_ms)
        return self->open_total_ms;
    return self->open_total_ms + (now_ms - self->entered_ms);
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[BREAKER_STATE_COUNT] = {"closed", "open", "half_open"};

    return names[state];
}

const char *breaker_reason_name(enum breaker_reason reason)
{
    static const char *const names[BREAKER_REASON_COUNT] = {
        "failed",    "slow",  "connect", "configuration", "cooldown",
        "reconnect", "trial", "expired", "recovered",
    };

    return names[reason];
}
