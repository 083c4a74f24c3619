#include "fake_keep_line.h"

#include <assert.h>
#include <string.h>

static struct keep_job *take(struct keep_line *line, size_t index)
{
    struct keep_job *job = line->jobs[index];

    line->count--;
    memmove(&line->jobs[index], &line->jobs[index + 1],
            (line->count - index) * sizeof(struct keep_job *));
    return job;
}

bool keep_line_submit(struct keep_line *line, struct keep_job *job, struct error *err)
{
    if (line->refuse_with != ERROR_NONE)
        return error_set(err, line->refuse_with, "fake: refused");
    assert(line->count < FAKE_JOBS_MAX);
    line->jobs[line->count++] = job;
    return true;
}

bool keep_line_withdraw(struct keep_line *line, struct keep_job *job)
{
    for (size_t i = 0; i < line->count && !line->has_begun; i++) {
        if (line->jobs[i] == job) {
            (void)take(line, i);
            line->withdrawn++;
            return true;
        }
    }
    return false;
}

void fake_keep_line_answer(struct keep_line *line, enum error_kind kind)
{
    struct error result = {.kind = kind};
    struct keep_job *job;

    assert(line->count > 0);
    job = take(line, 0);
    job->on_done(job, &result);
}
