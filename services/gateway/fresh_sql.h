/*
 * fresh_sql.h — up to when all that was published is stored, as ingest says of each partition
 *
 * Answer: one number, Unix ms; 0: not known, for a partition does not say. A condition on partition
 *         may follow.
 */
#pragma once

#define SQL_FRESH_MS                                                                               \
    "SELECT CASE WHEN bool_and(fresh_at IS NOT NULL)"                                              \
    " THEN (extract(epoch FROM min(fresh_at)) * 1000)::bigint ELSE 0 END FROM positions"
