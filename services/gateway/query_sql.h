/*
 * query_sql.h — the statements that read an ad's numbers, or all ads', from PostgreSQL
 *
 * Errors:  those of pg_query; ERROR_UNAVAILABLE once job->deadline_ms has passed.
 * Threads: the one that owns the connection.
 */
#pragma once

#include "clients/pg.h"
#include "query_pool.h"

/* Fills job->numbers from one snapshot of the database, or job->result by what went wrong. */
void query_sql_read(struct pg *pg, struct query_job *job);
