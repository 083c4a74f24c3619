#include "trim.h"

void trim_init(struct trim *trim, int64_t window_ms)
{
    *trim = (struct trim){.window_ms = window_ms};
}

void trim_sample(struct trim *trim, uint64_t seq, int64_t now_ms)
{
    const struct trim_sample *newest =
        &trim->samples[(trim->head + trim->count + TRIM_SAMPLES_MAX - 1) % TRIM_SAMPLES_MAX];

    if (trim->count > 0 && seq < newest->seq)
        trim->count = 0;
    if (trim->count > 0 && now_ms - newest->now_ms < trim->window_ms / TRIM_SAMPLES_MAX)
        return;
    if (trim->count == TRIM_SAMPLES_MAX)
        return; /* nobody took for a window: the old samples are the useful ones */
    trim->samples[(trim->head + trim->count) % TRIM_SAMPLES_MAX] =
        (struct trim_sample){.seq = seq, .now_ms = now_ms};
    trim->count++;
}

bool trim_take(struct trim *trim, int64_t now_ms, uint64_t *out_below)
{
    bool has_any = false;

    while (trim->count > 0 && now_ms - trim->samples[trim->head].now_ms > trim->window_ms) {
        *out_below = trim->samples[trim->head].seq + 1;
        has_any = true;
        trim->head = (trim->head + 1) % TRIM_SAMPLES_MAX;
        trim->count--;
    }
    return has_any;
}
