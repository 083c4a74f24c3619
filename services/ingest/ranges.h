/*
 * ranges.h — what batches tell of numbers that the stream did not take
 *
 * Why:     the audit must tell a batch that still lies in a gateway's spool from one that is lost.
 *          A header repeats its ranges until the stream has acknowledged a batch that carried them,
 *          so most of what comes here is known already and changes nothing.
 * Shape:   one statement of the transaction that files the batches, only when one of them carries a
 *          range. A range only grows: its last number, its events; told_at is the earliest.
 *          One that grew at its front is another row; the shorter one stays, within it.
 * Errors:  as pg_query.
 */
#pragma once

#include "base/error.h"
#include "batch.h"

struct columns;
struct pg;

/* columns is scratch. */
MUST_CHECK bool ranges_keep(struct pg *pg, struct columns *columns, const struct batch *batch,
                            struct error *err);
