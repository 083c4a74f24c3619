#define XXH_INLINE_ALL
#include "migrate.h"

#include "base/auto.h"
#include "clients/pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { CHECKSUM_SIZE = 17, VERSION_SIZE = 12 };

/* (1633971303, n): advisory locks of this database that are ours; partitions.c has the others. */
#define LOCK   "SELECT pg_advisory_lock(1633971303, 1)"
#define UNLOCK "SELECT pg_advisory_unlock(1633971303, 1)"

static const char sql_make_list[] = "CREATE TABLE IF NOT EXISTS schema_migrations ("
                                    "  version    integer PRIMARY KEY,"
                                    "  name       text NOT NULL,"
                                    "  checksum   text NOT NULL,"
                                    "  applied_at timestamptz NOT NULL DEFAULT now())";

static void format_checksum(const struct migration *migration, char out[CHECKSUM_SIZE])
{
    snprintf(out, CHECKSUM_SIZE, "%016" PRIx64, XXH3_64bits(migration->sql, migration->sql_size));
}

/* True when it is applied already, with the same text. */
static bool look_up(struct pg *pg, const struct migration *migration, bool *out_applied,
                    struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char version[VERSION_SIZE];
    char checksum[CHECKSUM_SIZE];
    struct pg_param param = {.value = version};

    snprintf(version, sizeof(version), "%d", migration->version);
    format_checksum(migration, checksum);
    if (!pg_query(pg, NULL, "SELECT checksum FROM schema_migrations WHERE version = $1::int",
                  &param, 1, &result, err))
        return false;
    *out_applied = PQntuples(result) == 1;
    if (*out_applied && strcmp(PQgetvalue(result, 0, 0), checksum) != 0)
        return error_set(err, ERROR_INTERNAL,
                         "it was applied with checksum %s, but reads %s in this build",
                         PQgetvalue(result, 0, 0), checksum);
    return true;
}

static bool record(struct pg *pg, const struct migration *migration, struct error *err)
{
    char version[VERSION_SIZE];
    char checksum[CHECKSUM_SIZE];
    struct pg_param params[] = {
        {.value = version}, {.value = migration->name}, {.value = checksum}};

    snprintf(version, sizeof(version), "%d", migration->version);
    format_checksum(migration, checksum);
    return pg_query(pg, NULL,
                    "INSERT INTO schema_migrations (version, name, checksum)"
                    " VALUES ($1::int, $2, $3)",
                    params, 3, NULL, err);
}

static bool apply(struct pg *pg, const struct migration *migration, struct error *err)
{
    if (!pg_begin(pg, "", err))
        return false;
    if (pg_script(pg, migration->sql, err) && record(pg, migration, err))
        return pg_commit(pg, err);
    pg_rollback(pg);
    return false;
}

static bool apply_all(struct pg *pg, size_t *out_applied, struct error *err)
{
    if (!pg_script(pg, sql_make_list, err))
        return error_wrap(err, "schema_migrations");
    for (size_t i = 0; i < migration_count; i++) {
        bool is_applied = false;

        if (!look_up(pg, &migrations[i], &is_applied, err) ||
            (!is_applied && !apply(pg, &migrations[i], err)))
            return error_wrap(err, migrations[i].name);
        *out_applied += !is_applied;
    }
    return true;
}

bool migrate_apply(struct pg *pg, size_t *out_applied, struct error *err)
{
    struct error unlock = {0};
    bool is_done = false;

    *out_applied = 0;
    if (!pg_query(pg, NULL, LOCK, NULL, 0, NULL, err))
        return error_wrap(err, "migrate");
    is_done = apply_all(pg, out_applied, err);
    /* The lock goes with the connection at the latest. */
    if (!pg_query(pg, NULL, UNLOCK, NULL, 0, NULL, &unlock))
        pg_disconnect(pg);
    return is_done || error_wrap(err, "migrate");
}
