/*
 * fake_keep_line.h — a line of keeping that does nothing until the test answers for it
 *
 * Implements keep_line_submit and keep_line_withdraw; link it in place of keep_line.c.
 */
#pragma once

#include "keep_line.h"

enum { FAKE_JOBS_MAX = 64 };

struct keep_line {
    enum error_kind refuse_with;          /* what submit fails with; ERROR_NONE: it takes the job */
    bool has_begun;                       /* nothing can be withdrawn any more */
    struct keep_job *jobs[FAKE_JOBS_MAX]; /* oldest first */
    size_t count, withdrawn;
};

/* Answers the oldest job. */
void fake_keep_line_answer(struct keep_line *line, enum error_kind kind);
