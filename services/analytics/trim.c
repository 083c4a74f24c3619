#include "trim.h"

void trim_init(struct trim *trim, int64_t window_ms)
{
    *trim = (struct trim){.window_ms = window_ms};
}

static const struct trim_sample *newest_of(const struct trim *trim)
{
    return &trim->samples[(trim->head + trim->count - 1) % TRIM_SAMPLES_MAX];
}

/* Samples that are old enough tell their number and go. */
static void age(struct trim *trim, int64_t now_ms)
{
    while (trim->count > 0 && now_ms - trim->samples[trim->head].now_ms > trim->window_ms) {
        trim->aged_seq = trim->samples[trim->head].last_seq;
        trim->head = (trim->head + 1) % TRIM_SAMPLES_MAX;
        trim->count--;
    }
}

void trim_sample(struct trim *trim, uint64_t last_seq, int64_t now_ms)
{
    uint64_t known_seq = trim->count > 0 ? newest_of(trim)->last_seq : trim->aged_seq;

    if (last_seq < known_seq)
        trim_init(trim, trim->window_ms);
    age(trim, now_ms);
    if (trim->count == TRIM_SAMPLES_MAX ||
        (trim->count > 0 && now_ms - newest_of(trim)->now_ms < trim->window_ms / TRIM_SAMPLES_MAX))
        return;
    trim->samples[(trim->head + trim->count) % TRIM_SAMPLES_MAX] =
        (struct trim_sample){.last_seq = last_seq, .now_ms = now_ms};
    trim->count++;
}

uint64_t trim_below(struct trim *trim, uint64_t both_seq, int64_t now_ms)
{
    age(trim, now_ms);
    return (both_seq < trim->aged_seq ? both_seq : trim->aged_seq) + 1;
}
