/*
 * database.h — a PostgreSQL with our schema for each test, and questions to it
 */
#pragma once

#include "base/auto.h"
#include "check.h"
#include "clients/pg.h"
#include "day.h"
#include "migrate.h"
#include "partitions.h"
#include "runtime/clock.h"
#include "servers.h"

#include <stdlib.h>
#include <string.h>

static inline struct pg *pg_on(const struct server *server)
{
    struct pg *pg = pg_new(&(struct pg_options){.endpoint = server_endpoint(server),
                                                .application = "test",
                                                .connect_ms = 5000,
                                                .query_ms = 10000});

    assert_non_null(pg);
    return pg;
}

/* The first value of the answer as a number; the statement must succeed. */
static inline int64_t ask_number(struct pg *pg, const char *sql, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    assert_ok(pg_query(pg, NULL, sql, NULL, 0, &result, err));
    return PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
}

/* Our tables, and today's partitions. */
static inline struct pg *pg_with_schema(const struct server *server, struct error *err)
{
    struct pg *pg = pg_on(server);
    size_t applied = 0;

    assert_ok(migrate_apply(pg, &applied, err));
    assert_ok(partitions_make(pg, day_of_ms(clock_at_ms()), err));
    return pg;
}
