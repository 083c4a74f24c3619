/*
 * progress.h — one line on standard error that says how far a pass is
 *
 * On a terminal the line is rewritten every second; elsewhere a new one is written every ten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *doing; /* "reading" */
    int64_t total;     /* 0: unknown */
    int64_t done;
    int64_t began_ms, shown_ms;
    bool is_terminal, has_line;
};

void progress_begin(struct progress *progress, const char *doing, int64_t total);
void progress_add(struct progress *progress, int64_t count);
/* Why nothing moves at the moment; NULL: it does. */
void progress_show(struct progress *progress, const char *waiting_for);
void progress_end(struct progress *progress);
