#include "pace.h"

#include "base/auto.h"
#include "clients/bus.h"
#include "progress.h"
#include "runtime/clock.h"
#include "target.h"

#include <stdlib.h>

enum { LOOK_EVERY = 16 /* messages */, SLEEP_MS = 50 };

struct pace {
    struct bus *bus;
    struct target *target;
    struct progress *progress;
    uint64_t sent[TARGET_PARTITIONS_MAX];  /* the last sequence of ours */
    uint64_t known[TARGET_PARTITIONS_MAX]; /* ingest's position, as last seen */
    uint32_t since_look[TARGET_PARTITIONS_MAX];
};

struct pace *pace_new(struct bus *bus, struct target *target, struct progress *progress)
{
    struct pace *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->bus = bus;
    self->target = target;
    self->progress = progress;
    for (size_t i = 0; i < TARGET_PARTITIONS_MAX; i++)
        self->since_look[i] = LOOK_EVERY; /* look before the first message */
    return self;
}

void pace_free(struct pace **pace)
{
    free(*pace);
    *pace = NULL;
}

/* Waits with an end: it is moved on by every sign of progress. */
struct patience {
    int64_t until_ms;
    uint64_t mark; /* what last showed progress */
};

static bool has_patience(struct patience *patience, uint64_t mark)
{
    int64_t now_ms = clock_now_ms();

    if (patience->until_ms == 0 || patience->mark != mark)
        *patience = (struct patience){.until_ms = now_ms + STALL_MS, .mark = mark};
    return now_ms < patience->until_ms;
}

static bool wait_for_ingest(struct pace *self, uint32_t partition, uint64_t behind_max,
                            struct error *err)
{
    struct patience patience = {0};

    while (self->sent[partition] > self->known[partition] + behind_max) {
        if (!target_read_positions(self->target, self->known, err))
            return false;
        if (self->sent[partition] <= self->known[partition] + behind_max)
            return true;
        if (!has_patience(&patience, self->known[partition]))
            return error_set(err, ERROR_UNAVAILABLE,
                             "ingest has read nothing of partition %u for %d s: is it running?",
                             (unsigned)partition, STALL_MS / 1000);
        progress_show(self->progress, "ingest");
        clock_sleep_ms(SLEEP_MS);
    }
    return true;
}

static void free_info(jsStreamInfo **info)
{
    jsStreamInfo_Destroy(*info);
    *info = NULL;
}

/* *out_percent of what the stream may hold; 0 for one without a limit. */
static bool read_fill(struct pace *self, uint32_t partition, int *out_percent, uint64_t *out_bytes,
                      struct error *err)
{
    AUTO(free_info) jsStreamInfo *info = NULL;
    char name[STREAM_NAME_SIZE];
    natsStatus status;

    stream_name(partition, name);
    status = js_GetStreamInfo(&info, bus_jetstream(self->bus), name, NULL, NULL);
    if (status == NATS_NOT_FOUND)
        return error_set(err, ERROR_INVALID, "there is no stream %s: is this adledger's NATS?",
                         name);
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "stream %s: %s", name, natsStatus_GetText(status));
    *out_bytes = info->State.Bytes;
    *out_percent = info->Config->MaxBytes <= 0
                       ? 0
                       : (int)(100 * info->State.Bytes / (uint64_t)info->Config->MaxBytes);
    return true;
}

static bool wait_for_room(struct pace *self, uint32_t partition, struct error *err)
{
    struct patience patience = {0};

    for (;;) {
        uint64_t bytes = 0;
        int percent = 0;

        if (!read_fill(self, partition, &percent, &bytes, err))
            return false;
        if (percent < STREAM_FULL_PERCENT)
            return true;
        if (!has_patience(&patience, bytes))
            return error_set(
                err, ERROR_UNAVAILABLE,
                "stream ADS_%u is %d%% full and was not trimmed for %d s: is analytics "
                "running?",
                (unsigned)partition, percent, STALL_MS / 1000);
        progress_show(self->progress, "room on the stream");
        clock_sleep_ms(SLEEP_MS);
    }
}

bool pace_wait(struct pace *pace, uint32_t partition, struct error *err)
{
    if (++pace->since_look[partition] < LOOK_EVERY)
        return true;
    pace->since_look[partition] = 0;
    return wait_for_room(pace, partition, err) &&
           wait_for_ingest(pace, partition, BACKLOG_MAX, err);
}

void pace_note(struct pace *pace, uint32_t partition, uint64_t seq)
{
    pace->sent[partition] = seq;
}

bool pace_settle(struct pace *pace, struct error *err)
{
    for (uint32_t i = 0; i < target_partitions(pace->target); i++)
        if (!wait_for_ingest(pace, i, 0, err))
            return false;
    return true;
}
