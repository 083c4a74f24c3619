/*
 * schema.h — the tables of config/sql for a test
 */
#pragma once

#include "check.h"
#include "clients/pg.h"

#include <stdio.h>

static inline void run_sql(struct pg *pg, const char *sql, struct error *err)
{
    assert_ok(pg_script(pg, sql, err));
}

/* One partition of events takes every day. */
static inline void make_schema(struct pg *pg, struct error *err)
{
    static char sql[65536];
    FILE *file = fopen(SCHEMA_SQL, "re");
    size_t size = 0;

    assert_non_null(file);
    size = fread(sql, 1, sizeof(sql) - 1, file);
    sql[size] = '\0';
    (void)fclose(file);
    run_sql(pg, sql, err);
    run_sql(pg,
            "CREATE TABLE events_all PARTITION OF events FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
            err);
}
