#include "run.h"

#include "base/auto.h"
#include "base/time_text.h"
#include "clients/bus.h"
#include "progress.h"
#include "runtime/clock.h"
#include "survey.h"
#include "transfer.h"

#include <inttypes.h>
#include <stdio.h>

enum { NATS_CONNECT_MS = 5000, NATS_REQUEST_MS = 5000, WORDS_MAX = 64 * 1024 };

/* Everything that a run needs; closed in reverse. */
struct run {
    const struct settings *settings; /* borrowed */
    struct sources sources;
    struct target *target;
    struct catalogue *catalogue;
    struct rejects *rejects;
    struct ordinals *ordinals;
    struct bus *bus;
    struct visitors *visitors;
    struct publisher *publisher;
    struct progress progress;
};

static void run_close(struct run *self)
{
    publisher_free(&self->publisher);
    visitors_free(&self->visitors);
    bus_close(&self->bus);
    ordinals_free(&self->ordinals);
    rejects_close(&self->rejects);
    catalogue_close(&self->catalogue);
    target_close(&self->target);
    sources_close(&self->sources);
}

static bool open_target(struct run *self, struct error *err)
{
    self->target = target_open(self->settings->endpoints.live.postgres,
                               (uint32_t)self->settings->partitions, err);
    return self->target != NULL;
}

static bool open_for_reading(struct run *self, struct error *err)
{
    AUTO(text_free) struct text words;

    text_init(&words, WORDS_MAX);
    if (!open_target(self, err) || !sources_open(&self->sources, self->settings, &words, err))
        return false;
    (void)fputs(text_str(&words), stdout);
    (void)fflush(stdout);
    self->catalogue = catalogue_open(self->target, err);
    if (self->catalogue == NULL)
        return false;
    self->ordinals = ordinals_new();
    return self->ordinals != NULL || error_set(err, ERROR_LIMIT, "no memory");
}

static bool open_for_writing(struct run *self, struct error *err)
{
    const struct bus_options bus = {.endpoint = self->settings->endpoints.live.nats,
                                    .name = "adledger import",
                                    .connect_ms = NATS_CONNECT_MS,
                                    .request_ms = NATS_REQUEST_MS};
    uint8_t key[TARGET_KEY_SIZE];

    self->bus = bus_open(&bus, err);
    if (self->bus == NULL || !target_get_key(self->target, key, err))
        return false;
    self->visitors = visitors_new(key, self->settings->ip_keep);
    if (self->visitors == NULL)
        return error_set(err, ERROR_LIMIT, "no memory");
    if (!target_read_salts(self->target, visitors_add_salt, self->visitors, err))
        return false;
    self->publisher = publisher_new(&(struct publisher_options){.bus = self->bus,
                                                                .target = self->target,
                                                                .progress = &self->progress},
                                    err);
    return self->publisher != NULL;
}

static bool refuse_old(const struct run *self, const struct survey *survey, int64_t now_at_ms,
                       struct error *err)
{
    char kept_from[TIME_TEXT_SIZE];

    if (survey->total.old == 0 || self->settings->skip_old)
        return true;
    time_text_format(judge_kept_from_ms(now_at_ms, self->settings->retention_days), kept_from);
    return error_set(err, ERROR_INVALID,
                     "%" PRId64 " records are from before %.10s, and the target keeps %" PRId64
                     " days: leave them out with --skip-old, or raise ingest's RETENTION_DAYS and "
                     "--retention-days",
                     survey->total.old, kept_from, self->settings->retention_days);
}

static void print_summary(const struct run *self, const struct transfer_counts *counts)
{
    struct catalogue_counts ads = catalogue_counts(self->catalogue);

    if (ads.read > 0)
        (void)printf("ads: %" PRId64 " read, %" PRId64 " entered\n", ads.read, ads.entered);
    if (ads.named > 0)
        (void)printf("ads: %" PRId64 " entered by their id, as only clicks name them\n", ads.named);
    (void)printf("clicks: %" PRId64 " sent, %" PRId64 " were there already",
                 publisher_sent(self->publisher), publisher_known(self->publisher));
    if (counts->old > 0)
        (void)printf(", %" PRId64 " too old and left out", counts->old);
    if (counts->consumed > 0)
        (void)printf(", %" PRId64 " elements removed from Redis", counts->consumed);
    (void)puts("");
}

/* What ingest made of it, from its own books. */
static bool print_outcome(struct run *self, bool *out_is_clean, struct error *err)
{
    struct target_ledger ledger;

    if (!publisher_settle(self->publisher, &ledger, err))
        return false;
    (void)printf("stored: %" PRId64 ", duplicates: %" PRId64 ", dead letters: %" PRId64 "\n",
                 ledger.stored, ledger.duplicates, ledger.dead);
    *out_is_clean = ledger.dead == 0;
    if (!*out_is_clean)
        (void)fprintf(stderr, "the dead letters are in the target's table dead_letters, with the "
                              "reason of each\n");
    return ledger.batches == publisher_batches(self->publisher) ||
           error_set(err, ERROR_INTERNAL, "ingest filed %" PRId64 " of %" PRId64 " batches",
                     ledger.batches, publisher_batches(self->publisher));
}

static int finish(const struct run *self, bool is_clean)
{
    int64_t rejected = rejects_count(self->rejects);

    if (rejected > 0)
        (void)printf("rejected: %" PRId64 "%s%s\n", rejected,
                     self->settings->rejects_path == NULL ? "" : ", see ",
                     self->settings->rejects_path == NULL ? "" : self->settings->rejects_path);
    return rejected == 0 && is_clean ? EXIT_SUCCESS : RUN_REJECTS;
}

static int transfer(struct run *self, const struct survey *survey, struct error *err)
{
    struct transfer_options options = {.sources = &self->sources,
                                       .catalogue = self->catalogue,
                                       .rejects = self->rejects,
                                       .progress = &self->progress,
                                       .judge = {self->ordinals, self->settings->retention_days},
                                       .skip_old = self->settings->skip_old,
                                       .consume = self->settings->consume};
    struct transfer_counts counts;
    bool is_clean = true;

    progress_begin(&self->progress, "importing", survey->total.records);
    if (!open_for_writing(self, err))
        return run_fail(err);
    options.visitors = self->visitors;
    options.publisher = self->publisher;
    if (!transfer_run(&options, &counts, err)) {
        progress_end(&self->progress);
        (void)fprintf(stderr, "%" PRId64 " clicks were sent; the same command goes on from there\n",
                      publisher_sent(self->publisher));
        return run_fail(err);
    }
    progress_end(&self->progress);
    print_summary(self, &counts);
    if (!print_outcome(self, &is_clean, err))
        return run_fail(err);
    return finish(self, is_clean);
}

static int import(struct run *self, struct error *err)
{
    struct survey_options options = {.sources = &self->sources, .now_at_ms = clock_at_ms()};
    struct survey survey;

    if (!open_for_reading(self, err))
        return run_fail(err);
    self->rejects = rejects_open(self->settings->rejects_path, err);
    if (self->rejects == NULL)
        return run_fail(err);
    options.catalogue = self->catalogue;
    options.rejects = self->settings->dry_run ? self->rejects : NULL;
    options.judge = (struct judge){self->ordinals, self->settings->retention_days};
    if (!survey_run(&options, &survey, err))
        return run_fail(err);
    survey_print(&survey, &options);
    if (!refuse_old(self, &survey, options.now_at_ms, err))
        return run_fail(err);
    if (!self->settings->dry_run)
        return transfer(self, &survey, err);
    (void)puts("dry run: nothing was written");
    return rejects_sync(self->rejects, err) ? finish(self, true) : run_fail(err);
}

int run_import(const struct settings *settings, struct error *err)
{
    AUTO(run_close) struct run run = {.settings = settings};

    return import(&run, err);
}

int run_forget(const struct settings *settings, struct error *err)
{
    AUTO(run_close) struct run run = {.settings = settings};
    bool was_there = false;

    if (!open_target(&run, err) || !target_forget_key(run.target, &was_there, err))
        return run_fail(err);
    (void)puts(was_there ? "the key of imported visitors is deleted" : "there was no key");
    return EXIT_SUCCESS;
}

int run_fail(const struct error *err)
{
    (void)fprintf(stderr, "error: %s\n", err->text);
    return RUN_FAILED;
}
