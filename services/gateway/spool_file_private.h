/*
 * spool_file_private.h — what the spool_file*.c files share; nobody else includes it
 */
#pragma once

#include "spool_file.h"

#include <sqlite3.h>

enum spool_statement {
    INSERT_ROW,
    SELECT_ROWS,
    DELETE_ROW,
    UPDATE_ROW,
    SET_ASIDE,
    STATEMENT_COUNT
};

struct spool_file {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int64_t pages_max;     /* of the file */
    int64_t log_max_pages; /* a log that is so long takes no further transaction */
    int64_t log_pages;     /* in the log, as of the last commit */
    int64_t next_id;
    struct kept_state state; /* oldest_at_ms apart */
    int64_t damaged_count;
    bool is_broken, is_damaged;
};

#define SPOOL_NOT_DAMAGED  "id NOT IN (SELECT id FROM damaged)"
#define SPOOL_SELECT(what) "SELECT " what " FROM batches WHERE " SPOOL_NOT_DAMAGED

/* What SQLite's code means for us; always false. */
bool spool_file_fail(struct spool_file *self, const char *what, int code, struct error *err);
MUST_CHECK bool spool_file_run(struct spool_file *self, const char *sql, struct error *err);
/* One number of a statement without parameters. */
MUST_CHECK bool spool_file_ask(struct spool_file *self, const char *sql, int64_t *out,
                               struct error *err);
/* Moves the log into the file, and sets log_pages. What fails here has failed after the commit: the
 * rows are safe in the log, which may grow on. */
void spool_file_move_log(struct spool_file *self);
