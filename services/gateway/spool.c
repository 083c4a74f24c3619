#include "spool.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "base/told.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"
#include "spool_file.h"
#include "spool_salvage.h"
#include "turns.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { NEARLY_FULL_PERCENT = 80 };

/* A directory and the file in it. */
struct spool_place {
    struct spool *owner;
    struct spool_dir dir; /* lock_fd -1: none */
    struct spool_file *file;
    bool is_own;          /* shared with the line's thread, by turns */
    int64_t rescue_at_ms; /* monotonic: a rescue that stopped half-way goes on; 0: there is none */
};

struct spool {
    struct spool_options options;
    struct turns turns; /* at own.file */
    struct spool_place own;
    /* The replayer's thread's. */
    struct spool_place adopted[SPOOL_ADOPTED_MAX];
    struct spool_dir_look look;
    struct backoff backoff;
    int64_t reopen_at_ms, adopt_at_ms;
    struct told last_failure;
    /* For /health, from any thread. */
    atomic_bool is_open, is_refusing, is_nearly_full;
    _Atomic int64_t own_batches;
    _Atomic int64_t adopted_batches, damaged;
    atomic_int rescues; /* of places, that have stopped half-way */
};

static bool open_own(struct spool *self, struct error *err);
static void report_failure(struct spool *self, const char *directory, const struct error *err);
static bool write_jobs(void *ctx, const struct keep_job *jobs, struct error *err);

struct spool *spool_open(const struct spool_options *options, struct error *err)
{
    AUTO(spool_close) struct spool *self = calloc(1, sizeof(*self));
    struct error why = {0};

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "spool: no memory");
        return NULL;
    }
    self->options = *options;
    self->own = (struct spool_place){.owner = self, .dir = {.lock_fd = -1}, .is_own = true};
    for (size_t i = 0; i < SPOOL_ADOPTED_MAX; i++)
        self->adopted[i] = (struct spool_place){.owner = self, .dir = {.lock_fd = -1}};
    turns_init(&self->turns);
    backoff_init(&self->backoff, SPOOL_REOPEN_BASE_MS, SPOOL_REOPEN_CAP_MS,
                 (uint64_t)clock_now_us());
    if (open_own(self, &why))
        return TAKE(self);
    if (why.kind == ERROR_INVALID) {
        *err = why;
        return NULL;
    }
    report_failure(self, options->directory, &why);
    return TAKE(self); /* spool_tend goes on trying */
}

static void close_place(struct spool_place *place)
{
    spool_file_close(&place->file);
    spool_dir_release(&place->dir);
}

void spool_close(struct spool **spool)
{
    struct spool *self = *spool;

    if (self == NULL)
        return;
    for (size_t i = 0; i < SPOOL_ADOPTED_MAX; i++)
        close_place(&self->adopted[i]);
    close_place(&self->own);
    turns_free(&self->turns);
    free(self);
    *spool = NULL;
}

static void tell_salvage(const char *path, const struct spool_salvage *salvage)
{
    const char *all = salvage->is_partial ? "no" : "yes";

    gateway_count(GATEWAY_spool_damaged_total, salvage->wrong);
    if (salvage->was_damaged) {
        gateway_count(GATEWAY_spool_damaged_files_total, 1);
        log_error("spool_damaged",
                  "file=%s aside=%s rescued=%" PRId64 " wrong=%" PRId64
                  " all=%s why=\"%s\" stopped_by=\"%s\"",
                  path, salvage->aside, salvage->rescued, salvage->wrong, all, salvage->why,
                  salvage->stopped_by.text);
    } else if (salvage->asides > 0) {
        log_warn("spool_rescue_went_on",
                 "file=%s aside=%s files=%zu rescued=%" PRId64 " wrong=%" PRId64
                 " all=%s stopped_by=\"%s\"",
                 path, salvage->aside, salvage->asides, salvage->rescued, salvage->wrong, all,
                 salvage->stopped_by.text);
    }
}

/* Opens the file of a place whose lock is held. Takes its time: a damaged file is rescued. */
static bool open_file(struct spool_place *place, struct spool_file **out, struct error *err)
{
    struct spool_salvage salvage;
    char path[SPOOL_PATH_MAX];

    spool_dir_file(&place->dir, path);
    *out = spool_salvage_open(path, place->owner->options.max_bytes, clock_at_ms(), &salvage, err);
    tell_salvage(path, &salvage);
    place->rescue_at_ms = salvage.is_partial ? clock_now_ms() + SPOOL_RESCUE_EVERY_MS : 0;
    return *out != NULL;
}

/* Opening it again goes on with its rescue, and has the most room when it is empty. */
static bool is_rescue_due(const struct spool_place *place, int64_t now_ms)
{
    return place->rescue_at_ms > 0 && now_ms >= place->rescue_at_ms &&
           spool_file_batches(place->file) == 0;
}

/* It will be tried again, and may fail so for long. */
static void report_failure(struct spool *self, const char *directory, const struct error *err)
{
    if (told_is_news(&self->last_failure, err))
        log_error("spool_failed", "directory=%s why=\"%s\"", directory, err->text);
}

/* In a turn, so that neither is an older number for good. */
static void show_batches(struct spool *self)
{
    if (self->own.file != NULL)
        atomic_store(&self->own_batches, spool_file_batches(self->own.file));
    gateway_set(GATEWAY_spool_batches, (double)spool_batches(self));
}

static bool open_own(struct spool *self, struct error *err)
{
    struct spool_file *file = NULL;

    if ((self->own.dir.lock_fd < 0 &&
         !spool_dir_lock(self->options.directory, self->options.instance, &self->own.dir, err)) ||
        !open_file(&self->own, &file, err)) {
        self->reopen_at_ms = clock_now_ms() + backoff_next_ms(&self->backoff);
        return false;
    }
    turns_take(&self->turns, TURN_REPLAYER);
    self->own.file = file;
    show_batches(self);
    turns_end(&self->turns);
    atomic_store(&self->is_open, true);
    atomic_store(&self->is_refusing, false);
    backoff_reset(&self->backoff);
    told_reset(&self->last_failure);
    log_info("spool_opened", "directory=%s batches=%" PRId64, self->own.dir.path,
             spool_file_batches(file));
    spool_report(self);
    return true;
}

struct keep_store spool_store(struct spool *self)
{
    return (struct keep_store){.write = write_jobs, .ctx = self};
}

/* The replayer's turns are one reading or one transaction each. */
static bool take_turn_until(struct spool *self, int64_t deadline_ms, struct error *err)
{
    int64_t wait_ms = deadline_ms - clock_now_ms();

    if (wait_ms > SPOOL_TURN_MS)
        wait_ms = SPOOL_TURN_MS;
    if (turns_take_within(&self->turns, TURN_WRITER, wait_ms))
        return true;
    return error_set(err, ERROR_UNAVAILABLE, "spool: the file is busy");
}

static bool write_jobs(void *ctx, const struct keep_job *jobs, struct error *err)
{
    struct spool *self = ctx;
    int64_t began_us = clock_now_us();
    bool is_kept;

    if (!take_turn_until(self, keep_jobs_deadline_ms(jobs), err))
        return false;
    is_kept = self->own.file != NULL
                  ? spool_file_write(self->own.file, jobs, clock_at_ms(), err)
                  : error_set(err, ERROR_UNAVAILABLE, "spool: there is no file to write to");
    if (is_kept)
        show_batches(self);
    turns_end(&self->turns);
    atomic_store(&self->is_refusing, !is_kept);
    if (is_kept)
        gateway_observe(GATEWAY_spool_write_seconds, (double)(clock_now_us() - began_us) / 1e6);
    return is_kept;
}

/* A turn at a place's file, which only the own one needs. */
static void enter(struct spool_place *place)
{
    if (place->is_own)
        turns_take(&place->owner->turns, TURN_REPLAYER);
}

static void leave(struct spool_place *place)
{
    if (place->is_own)
        turns_end(&place->owner->turns);
}

static bool claim(void *ctx, const struct kept_limits *limits, struct kept_rows *out,
                  struct error *err)
{
    struct spool_place *place = ctx;
    bool is_read;

    enter(place);
    is_read = spool_file_read(place->file, limits, out, err);
    leave(place);
    return is_read;
}

static bool settle(void *ctx, const struct kept_rows *rows, struct error *err)
{
    struct spool_place *place = ctx;
    bool is_settled;

    enter(place);
    is_settled = spool_file_settle(place->file, rows, err);
    if (place->is_own)
        show_batches(place->owner);
    leave(place);
    return is_settled;
}

static void add_source(struct spool_place *place, struct replay_source *out, size_t *count)
{
    int64_t batches = 0;

    if (place->file == NULL)
        return;
    enter(place);
    if (!spool_file_is_broken(place->file))
        batches = spool_file_batches(place->file);
    leave(place);
    if (batches == 0)
        return;
    out[(*count)++] = (struct replay_source){
        .name = place->dir.path, .claim = claim, .settle = settle, .ctx = place};
}

size_t spool_sources(struct spool *self, struct replay_source out[SPOOL_ADOPTED_MAX + 1])
{
    size_t count = 0;

    add_source(&self->own, out, &count);
    for (size_t i = 0; i < SPOOL_ADOPTED_MAX; i++)
        add_source(&self->adopted[i], out, &count);
    return count;
}

/* Own: out of the writer's reach first, then closed, and opened anew when its time has come. */
static void tend_own(struct spool *self, int64_t now_ms)
{
    struct spool_file *old = NULL;
    bool is_broken = false;
    struct error err;

    turns_take(&self->turns, TURN_REPLAYER);
    if (self->own.file != NULL) {
        is_broken = spool_file_is_broken(self->own.file);
        if (is_broken || is_rescue_due(&self->own, now_ms))
            old = TAKE(self->own.file);
    }
    turns_end(&self->turns);
    if (old != NULL) {
        atomic_store(&self->is_open, false);
        spool_file_close(&old);
        self->reopen_at_ms = now_ms;
    }
    if (is_broken) {
        gateway_count(GATEWAY_spool_failures_total, 1);
        log_error("spool_failed", "directory=%s why=\"%s\"", self->own.dir.path,
                  "an error of the disk or the file: it is opened again");
        self->reopen_at_ms = now_ms + backoff_next_ms(&self->backoff);
    }
    if (self->own.file == NULL && now_ms >= self->reopen_at_ms && !open_own(self, &err))
        report_failure(self, self->options.directory, &err);
}

static void adopt_dirs(struct spool *self)
{
    struct spool_dir dirs[SPOOL_ADOPTED_MAX];
    size_t free_places[SPOOL_ADOPTED_MAX];
    size_t free_count = 0;
    size_t count;

    for (size_t i = 0; i < SPOOL_ADOPTED_MAX; i++) {
        if (self->adopted[i].dir.lock_fd < 0)
            free_places[free_count++] = i;
    }
    if (free_count == 0)
        return;
    count = spool_dir_adopt(self->options.directory, clock_at_ms(), &self->look, dirs, free_count);
    for (size_t i = 0; i < count; i++)
        self->adopted[free_places[i]].dir = dirs[i];
}

/* Its place is free again, whatever became of the directory. */
static void let_go(struct spool_place *place)
{
    bool is_left = place->file == NULL || spool_file_damaged_count(place->file) > 0;

    spool_file_close(&place->file);
    if (!is_left && spool_dir_remove(&place->dir)) {
        log_info("spool_emptied", "directory=%s", place->dir.path);
        return;
    }
    if (spool_dir_retire(&place->dir, clock_at_ms()))
        log_error("spool_left", "directory=%s why=\"%s\"", place->dir.path,
                  "it holds what nobody can publish");
    spool_dir_release(&place->dir);
}

static void tend_adopted(struct spool_place *place, int64_t now_ms)
{
    struct error err;

    if (place->dir.lock_fd < 0)
        return;
    if (place->file == NULL) {
        if (!open_file(place, &place->file, &err)) {
            report_failure(place->owner, place->dir.path, &err);
            if (err.kind == ERROR_INTERNAL) /* another version's: trying again is of no use */
                let_go(place);
            else
                spool_dir_release(&place->dir); /* it is adopted again, and tried again */
            return;
        }
        gateway_count(GATEWAY_spool_adopted_total, 1);
        log_info("spool_adopted", "directory=%s batches=%" PRId64, place->dir.path,
                 spool_file_batches(place->file));
    }
    /* Closed is let go: it is adopted again. */
    if (spool_file_is_broken(place->file) || is_rescue_due(place, now_ms))
        close_place(place);
    else if (spool_file_batches(place->file) == 0 && place->rescue_at_ms == 0)
        let_go(place);
}

void spool_tend(struct spool *self, int64_t now_ms)
{
    tend_own(self, now_ms);
    if (now_ms >= self->adopt_at_ms) {
        self->adopt_at_ms = now_ms + SPOOL_ADOPT_EVERY_MS;
        adopt_dirs(self);
    }
    for (size_t i = 0; i < SPOOL_ADOPTED_MAX; i++)
        tend_adopted(&self->adopted[i], now_ms);
}

struct sums {
    struct kept_state state;
    int64_t used_bytes, damaged;
    int rescues;
};

static void add_place(struct spool_place *place, struct sums *sums)
{
    struct kept_state state;

    if (place->file == NULL)
        return;
    enter(place);
    state = spool_file_state(place->file);
    sums->used_bytes += spool_file_used_bytes(place->file);
    sums->damaged += spool_file_damaged_count(place->file);
    leave(place);
    sums->rescues += place->rescue_at_ms > 0;
    sums->state.batches += state.batches;
    sums->state.events += state.events;
    if (state.oldest_at_ms > 0 &&
        (sums->state.oldest_at_ms == 0 || state.oldest_at_ms < sums->state.oldest_at_ms))
        sums->state.oldest_at_ms = state.oldest_at_ms;
}

void spool_report(struct spool *self)
{
    struct sums sums = {0};
    int64_t own_batches;
    int64_t max_bytes = 0;
    int64_t age_ms;

    add_place(&self->own, &sums);
    if (self->own.file != NULL)
        max_bytes = spool_file_max_bytes(self->own.file);
    atomic_store(&self->is_nearly_full,
                 max_bytes > 0 && sums.used_bytes > max_bytes / 100 * NEARLY_FULL_PERCENT);
    own_batches = sums.state.batches;
    for (size_t i = 0; i < SPOOL_ADOPTED_MAX; i++)
        add_place(&self->adopted[i], &sums);
    atomic_store(&self->adopted_batches, sums.state.batches - own_batches);
    turns_take(&self->turns, TURN_REPLAYER);
    show_batches(self);
    turns_end(&self->turns);
    atomic_store(&self->damaged, sums.damaged);
    atomic_store(&self->rescues, sums.rescues);
    age_ms = sums.state.oldest_at_ms > 0 ? clock_at_ms() - sums.state.oldest_at_ms : 0;
    gateway_set(GATEWAY_spool_events, (double)sums.state.events);
    gateway_set(GATEWAY_spool_bytes, (double)sums.used_bytes);
    gateway_set(GATEWAY_spool_max_bytes, (double)max_bytes);
    gateway_set(GATEWAY_spool_oldest_age_seconds, age_ms > 0 ? (double)age_ms / 1000.0 : 0);
    gateway_set(GATEWAY_spool_damaged_batches, (double)sums.damaged);
    spool_dir_report_disk(self->options.directory);
    gateway_set(GATEWAY_spool_is_open, atomic_load(&self->is_open) ? 1 : 0);
}

int64_t spool_batches(const struct spool *self)
{
    return atomic_load(&self->own_batches) + atomic_load(&self->adopted_batches);
}

struct service_component spool_describe(const struct spool *self)
{
    struct service_component spool = {.name = "spool", .state = "up"};
    int64_t batches = spool_batches(self);
    int64_t damaged = atomic_load(&self->damaged);
    bool has_rescue = atomic_load(&self->rescues) > 0;

    if (!atomic_load(&self->is_open)) {
        spool.state = "down";
        (void)snprintf(spool.detail, sizeof(spool.detail), "it cannot be opened or written");
        return spool;
    }
    if (atomic_load(&self->is_nearly_full) || atomic_load(&self->is_refusing) || damaged > 0 ||
        has_rescue)
        spool.state = "degraded";
    if (atomic_load(&self->is_refusing)) {
        (void)snprintf(spool.detail, sizeof(spool.detail),
                       "the last write was refused, %" PRId64 " batches wait", batches);
        return spool;
    }
    if (batches > 0 || damaged > 0 || has_rescue)
        (void)snprintf(spool.detail, sizeof(spool.detail),
                       "%" PRId64 " batches wait%s, %" PRId64 " cannot be published%s", batches,
                       atomic_load(&self->is_nearly_full) ? ", nearly full" : "", damaged,
                       has_rescue ? ", a damaged file is not rescued yet" : "");
    return spool;
}
