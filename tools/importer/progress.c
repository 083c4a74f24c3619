#include "progress.h"

#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { TERMINAL_MS = 1000, PLAIN_MS = 10000, LOOK_EVERY = 256 };

void progress_begin(struct progress *progress, const char *doing, int64_t total)
{
    int64_t now_ms = clock_now_ms();

    *progress = (struct progress){.doing = doing,
                                  .total = total,
                                  .began_ms = now_ms,
                                  .shown_ms = now_ms,
                                  .is_terminal = isatty(STDERR_FILENO) == 1};
}

void progress_add(struct progress *progress, int64_t count)
{
    progress->done += count;
    if (progress->done % LOOK_EVERY == 0)
        progress_show(progress, NULL);
}

void progress_show(struct progress *progress, const char *waiting_for)
{
    int64_t now_ms = clock_now_ms();
    int64_t run_ms = now_ms - progress->began_ms + 1;

    if (now_ms - progress->shown_ms < (progress->is_terminal ? TERMINAL_MS : PLAIN_MS))
        return;
    progress->shown_ms = now_ms;
    progress->has_line = true;
    (void)fprintf(stderr, "%s%s: %" PRId64, progress->is_terminal ? "\r\033[K" : "",
                  progress->doing, progress->done);
    if (progress->total > 0)
        (void)fprintf(stderr, " of %" PRId64 " records", progress->total);
    (void)fprintf(stderr, ", %" PRId64 "/s", progress->done * 1000 / run_ms);
    if (waiting_for != NULL)
        (void)fprintf(stderr, ", waiting for %s", waiting_for);
    (void)fputs(progress->is_terminal ? "" : "\n", stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->is_terminal && progress->has_line)
        (void)fputs("\r\033[K", stderr);
    progress->has_line = false;
}
