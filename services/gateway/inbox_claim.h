/*
 * inbox_claim.h — the statements by which a replayer empties PostgreSQL's inbox
 *
 * Shape:   inbox_claim begins a transaction and locks the oldest rows that nobody else has;
 *          inbox_settle deletes what was published, notes what was refused, and commits. Between
 *          the two nobody else publishes these rows; if the process dies, they are free again.
 * Errors:  as pg.h; after a failure the transaction is gone and the rows are as they were.
 * Threads: the owner of pg.
 */
#pragma once

#include "clients/pg.h"
#include "inbox.h"

struct inbox_state {
    struct kept_state kept;
    int64_t too_large; /* batches over payload_max */
};

MUST_CHECK bool inbox_read_state(struct pg *pg, size_t payload_max, struct inbox_state *out,
                                 struct error *err);
/* With rows the transaction stays open for inbox_settle; without, it is over. */
MUST_CHECK bool inbox_claim(struct pg *pg, const struct kept_limits *limits, struct kept_rows *out,
                            struct error *err);
MUST_CHECK bool inbox_settle(struct pg *pg, const struct kept_rows *rows, struct error *err);
