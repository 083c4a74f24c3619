/*
 * audit_sql.h — reads what an audit needs from one snapshot of PostgreSQL
 *
 * Shape:   per minute the sums of the stored batches; per lane its first and last number within the
 *          span, the batch before it, and the gaps between them. A lane's numbers begin at 1, so
 *          what is missing before its first one is missing, too, unless its gateway is older than
 *          the oldest day that is kept.
 *          Then the lane's sum: a header says how many events were answered 202 in the batches
 *          below its settled_below; between the headers of two batches that must be what is stored
 *          and was promised, and what still waits in a spool.
 * Errors:  those of pg_query; ERROR_INVALID: more than AUDIT_LANES_MAX lanes; ERROR_UNAVAILABLE:
 *          not done by deadline_ms.
 * Limits:  AUDIT_LANES_MAX lanes, AUDIT_LANE_ROWS_MAX gaps and ranges a lane.
 * Threads: the one that owns the connection.
 */
#pragma once

#include "audit.h"
#include "clients/pg.h"

enum { AUDIT_LANES_MAX = 10000, AUDIT_LANE_ROWS_MAX = 2000, AUDIT_HEARD_S = 30 };

/* audit has been initialised for its span; deadline_ms is monotonic. */
MUST_CHECK bool audit_sql_read(struct pg *pg, int64_t deadline_ms, struct audit *audit,
                               struct error *err);
