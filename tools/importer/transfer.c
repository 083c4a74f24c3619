#include "transfer.h"

#include "progress.h"
#include "runtime/clock.h"

/* One source being transferred. */
struct transferring {
    const struct transfer_options *options;
    struct judge judge;
    const struct source *source;
    struct transfer_counts *counts;
};

/* A click's path, top to bottom; the definitions follow in this order. */
static bool read_source(const struct transfer_options *options, const struct source *source,
                        struct transfer_counts *counts, struct error *err);
static bool on_item(void *ctx, const struct item *item, struct error *err);
static bool send(const struct transfer_options *options, struct click *click, struct error *err);
static bool consume_list(const struct transfer_options *options, struct list *list,
                         const struct source *source, struct transfer_counts *counts,
                         struct error *err);

static struct list *find_list(const struct sources *sources, const struct source *source)
{
    for (size_t i = 0; i < LISTS; i++)
        if (sources->lists[i] != NULL && source->self == sources->lists[i])
            return sources->lists[i];
    return NULL;
}

bool transfer_run(const struct transfer_options *options, struct transfer_counts *out,
                  struct error *err)
{
    const struct sources *sources = options->sources;

    *out = (struct transfer_counts){0};
    if (sources->tables != NULL && tables_have_ads(sources->tables) &&
        !catalogue_import(options->catalogue, sources->tables, options->rejects, err))
        return error_wrap(err, "ads");
    if (!catalogue_enter(options->catalogue, err))
        return error_wrap(err, "ads");
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->rows[i];
        struct list *list = options->consume ? find_list(sources, source) : NULL;

        ordinals_reset(options->judge.ordinals);
        if (list != NULL ? !consume_list(options, list, source, out, err)
                         : !read_source(options, source, out, err))
            return error_wrap(err, source->name);
    }
    return publisher_flush(options->publisher, err) && rejects_sync(options->rejects, err);
}

static bool read_source(const struct transfer_options *options, const struct source *source,
                        struct transfer_counts *counts, struct error *err)
{
    struct transferring transferring = {
        .options = options, .judge = options->judge, .source = source, .counts = counts};

    return source->read(source->self, on_item, &transferring, err);
}

static bool on_item(void *ctx, const struct item *item, struct error *err)
{
    struct transferring *self = ctx;
    const struct transfer_options *options = self->options;
    struct judged judged;

    if (!judge_item(&self->judge, item, clock_at_ms(), &judged, err))
        return false;
    progress_add(options->progress, 1);
    if (judged.verdict == VERDICT_GOOD)
        return send(options, &judged.click, err);
    if (judged.verdict == VERDICT_OLD && options->skip_old) {
        self->counts->old++;
        return true;
    }
    /* It came, or grew too old, after the survey. */
    if (judged.verdict == VERDICT_OLD)
        error_set(&judged.why, ERROR_INVALID, "older than what the target keeps");
    return rejects_add(options->rejects, self->source->name, item, judged.why.text, err);
}

static bool send(const struct transfer_options *options, struct click *click, struct error *err)
{
    visitors_apply(options->visitors, click);
    return catalogue_want(options->catalogue, click->event.ad_id, click->event.ad_id_size, err) &&
           catalogue_enter(options->catalogue, err) &&
           publisher_add(options->publisher, &click->event, err);
}

/* What an interrupted run has taken, then what the tracker has pushed since. */
static bool consume_list(const struct transfer_options *options, struct list *list,
                         const struct source *source, struct transfer_counts *counts,
                         struct error *err)
{
    for (int round = 0; round < 2; round++) {
        long long elements = 0;

        if (!list_take(list, &elements, err))
            return false;
        if (elements == 0)
            return true;
        if (!read_source(options, source, counts, err) ||
            !publisher_flush(options->publisher, err) || !rejects_sync(options->rejects, err) ||
            !list_delete_taken(list, err))
            return false;
        counts->consumed += elements;
    }
    return true;
}
