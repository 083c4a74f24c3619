#include "survey.h"

#include "base/time_text.h"
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>

/* One source being surveyed. */
struct surveying {
    const struct survey_options *options;
    struct judge judge;
    const struct source *source;
    struct survey_counts *counts;
    struct progress *progress;
};

static void note_time(struct survey_counts *counts, int64_t at_ms)
{
    if (counts->first_at_ms == 0 || at_ms < counts->first_at_ms)
        counts->first_at_ms = at_ms;
    if (at_ms > counts->last_at_ms)
        counts->last_at_ms = at_ms;
}

static bool on_item(void *ctx, const struct item *item, struct error *err)
{
    struct surveying *self = ctx;
    struct rejects *rejects = self->options->rejects;
    struct judged judged;

    if (!judge_item(&self->judge, item, self->options->now_at_ms, &judged, err))
        return false;
    self->counts->records++;
    progress_add(self->progress, 1);
    switch (judged.verdict) {
    case VERDICT_BAD:
        self->counts->bad++;
        return rejects == NULL ||
               rejects_add(rejects, self->source->name, item, judged.why.text, err);
    case VERDICT_OLD:
        self->counts->old++;
        note_time(self->counts, judged.click.event.event_at_ms);
        return true;
    case VERDICT_GOOD:
        note_time(self->counts, judged.click.event.event_at_ms);
        return catalogue_want(self->options->catalogue, judged.click.event.ad_id,
                              judged.click.event.ad_id_size, err);
    }
    return error_set(err, ERROR_INTERNAL, "a verdict without an answer");
}

static void add(struct survey_counts *total, const struct survey_counts *counts)
{
    total->records += counts->records;
    total->bad += counts->bad;
    total->old += counts->old;
    if (counts->first_at_ms != 0) {
        note_time(total, counts->first_at_ms);
        note_time(total, counts->last_at_ms);
    }
}

bool survey_run(const struct survey_options *options, struct survey *out, struct error *err)
{
    struct progress progress;

    *out = (struct survey){0};
    progress_begin(&progress, "reading", 0);
    for (size_t i = 0; i < options->sources->count; i++) {
        const struct source *source = &options->sources->rows[i];
        struct surveying surveying = {.options = options,
                                      .judge = options->judge,
                                      .source = source,
                                      .counts = &out->of[i],
                                      .progress = &progress};

        ordinals_reset(options->judge.ordinals);
        if (!source->read(source->self, on_item, &surveying, err))
            return error_wrap(err, source->name);
        add(&out->total, &out->of[i]);
    }
    progress_end(&progress);
    return true;
}

static void print_counts(const char *name, const struct survey_counts *counts, int64_t days)
{
    char first[TIME_TEXT_SIZE];
    char last[TIME_TEXT_SIZE];

    (void)printf("%s: %" PRId64 " records", name, counts->records);
    if (counts->first_at_ms != 0) {
        time_text_format(counts->first_at_ms, first);
        time_text_format(counts->last_at_ms, last);
        (void)printf(", %s to %s", first, last);
    }
    if (counts->old > 0)
        (void)printf(", %" PRId64 " older than %" PRId64 " days", counts->old, days);
    if (counts->bad > 0)
        (void)printf(", %" PRId64 " that cannot be imported", counts->bad);
    (void)puts("");
}

void survey_print(const struct survey *survey, const struct survey_options *options)
{
    size_t wanted = catalogue_wanted(options->catalogue);

    for (size_t i = 0; i < options->sources->count; i++)
        print_counts(options->sources->rows[i].name, &survey->of[i], options->judge.retention_days);
    if (wanted > 0)
        (void)printf("catalogue: %zu ads of these clicks are not in it yet\n", wanted);
    (void)fflush(stdout);
}
