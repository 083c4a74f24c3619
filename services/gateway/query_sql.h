/*
 * query_sql.h — the statements that read an ad's numbers, or all ads', from PostgreSQL
 *
 * Errors:  those of pg_query.
 * Threads: the one that owns the connection.
 */
#pragma once

#include "clients/pg.h"
#include "query_pool.h"

/* Fills job->numbers from one snapshot of the database. */
MUST_CHECK bool query_sql_read(struct pg *pg, struct query_job *job, struct error *err);
