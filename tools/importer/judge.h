/*
 * judge.h — what is to become of one record
 *
 * Why:    the survey and the transfer must come to the same verdict, or the survey means nothing.
 * Units:  the days of a target: a day is kept when it is later than today minus the retention, as
 *         ingest has it; today is the caller's now_at_ms.
 */
#pragma once

#include "identity.h"
#include "source.h"

enum verdict { VERDICT_GOOD, VERDICT_OLD, VERDICT_BAD };

struct judge {
    struct ordinals *ordinals; /* borrowed */
    int64_t retention_days;
};

struct judged {
    enum verdict verdict;
    struct click click; /* of a GOOD and an OLD one, with its id */
    struct error why;   /* of a BAD one */
};

/* False: the run cannot go on. */
MUST_CHECK bool judge_item(struct judge *judge, const struct item *item, int64_t now_at_ms,
                           struct judged *out, struct error *err);

/* The first instant that is kept. */
int64_t judge_kept_from_ms(int64_t now_at_ms, int64_t retention_days);
