/*
 * transfer.h — the second pass: every good record becomes an event on the stream
 *
 * Order:  ads before the clicks that name them; a list is deleted only when all of it is on the
 *         stream and its rejects are on disk.
 */
#pragma once

#include "catalogue.h"
#include "judge.h"
#include "publisher.h"
#include "sources.h"
#include "visitors.h"

struct progress;

struct transfer_options {
    const struct sources *sources;
    struct catalogue *catalogue;
    struct rejects *rejects;
    struct visitors *visitors;
    struct publisher *publisher;
    struct progress *progress;
    struct judge judge;
    bool skip_old, consume;
};

struct transfer_counts {
    int64_t old;      /* left out, as asked for */
    int64_t consumed; /* elements that were removed from lists */
};

MUST_CHECK bool transfer_run(const struct transfer_options *options, struct transfer_counts *out,
                             struct error *err);
