/*
 * survey.h — the first pass: what is there, before anything is written
 *
 * Why:    records older than what the target keeps would end as dead letters; that is told, and
 *         decided by the user, before the first event is on its way.
 */
#pragma once

#include "catalogue.h"
#include "judge.h"
#include "sources.h"

struct survey_counts {
    int64_t records, bad, old;
    int64_t first_at_ms, last_at_ms; /* of those that can be read; 0: none */
};

struct survey {
    struct survey_counts of[SOURCES_MAX];
    struct survey_counts total;
};

struct survey_options {
    const struct sources *sources;
    struct catalogue *catalogue;
    struct rejects *rejects; /* NULL: rejects are left to the transfer */
    struct judge judge;
    int64_t now_at_ms;
};

MUST_CHECK bool survey_run(const struct survey_options *options, struct survey *out,
                           struct error *err);
void survey_print(const struct survey *survey, const struct survey_options *options);
