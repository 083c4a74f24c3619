/*
 * migrate.h — the database's tables, brought to what this build needs
 *
 * Why:    the SQL is part of the binary, so that an image needs no files and cannot meet others'.
 * Shape:  config/sql/NNN_name.sql in order, each in a transaction with its row in
 *         schema_migrations; all of it under an advisory lock, so that processes that start
 *         together wait for one of them.
 * Errors: ERROR_INTERNAL when a migration that is applied reads differently here: somebody changed
 *         history. ERROR_UNAVAILABLE and ERROR_UNCERTAIN: call again, what is done is not repeated.
 */
#pragma once

#include "base/error.h"
#include <stddef.h>

struct pg;

struct migration {
    int version;
    const char *name; /* "001_init" */
    const char *sql;  /* NUL-terminated */
    size_t sql_size;  /* without the NUL */
};

/* Generated from config/sql by embed_sql.cmake; in order of version. */
extern const struct migration migrations[];
extern const size_t migration_count;

MUST_CHECK bool migrate_apply(struct pg *pg, size_t *out_applied, struct error *err);
