#include "spool_file_private.h"

#include "base/auto.h"
#include "spool_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* LOG_PART of max_bytes is the log's; half of it is for the last transaction. The file grows by
 * CHUNK_BYTES. */
enum { LOG_PART = 4, LOG_MAX_BYTES = 32 << 20, CHUNK_BYTES = 256 << 10, SQL_MAX = 160 };

static const char *const statement_sql[] = {
    [INSERT_ROW] =
        "INSERT INTO batches (" SPOOL_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SELECT_ROWS] = "SELECT " SPOOL_COLUMNS
                    " FROM batches WHERE (?1 >> (partition & 63)) & 1 = 0 AND " SPOOL_NOT_DAMAGED
                    " ORDER BY id",
    [DELETE_ROW] = "DELETE FROM batches WHERE id = ?1",
    [UPDATE_ROW] = "UPDATE batches SET attempt_k = ?2 WHERE id = ?1",
    [SET_ASIDE] = "INSERT INTO damaged (id, why) VALUES (?1, ?2)",
};

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages);

bool spool_file_fail(struct spool_file *self, const char *what, int code, struct error *err)
{
    enum error_kind kind = ERROR_UNAVAILABLE;

    switch (code & 0xff) {
    case SQLITE_FULL: /* max_page_count, or ENOSPC */
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        kind = ERROR_LIMIT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        self->is_damaged = true;
        self->is_broken = true;
        break;
    default: /* IOERR, CANTOPEN, READONLY, PERM, ... : the same connection will not recover */
        self->is_broken = true;
        break;
    }
    return error_set(err, kind, "spool: %s: %s (%d)", what,
                     self->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(self->db), code);
}

bool spool_file_run(struct spool_file *self, const char *sql, struct error *err)
{
    int code = sqlite3_exec(self->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK || spool_file_fail(self, sql, code, err);
}

static void free_statement(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* repeats the code of the last step */
    *statement = NULL;
}

bool spool_file_ask(struct spool_file *self, const char *sql, int64_t *out, struct error *err)
{
    AUTO(free_statement) sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return spool_file_fail(self, sql, code, err);
    *out = sqlite3_column_int64(statement, 0);
    return true;
}

static bool check(struct spool_file *self, struct error *err)
{
    AUTO(free_statement) sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(self->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    const char *text;

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return spool_file_fail(self, "quick_check", code, err);
    text = (const char *)sqlite3_column_text(statement, 0);
    if (text != NULL && strcmp(text, "ok") == 0)
        return true;
    self->is_damaged = true;
    return error_set(err, ERROR_UNAVAILABLE, "spool: %s", text == NULL ? "quick_check" : text);
}

/* The file's own limits: its part of max_bytes, less what the log may take. */
static bool set_limits(struct spool_file *self, int64_t max_bytes, struct error *err)
{
    char sql[SQL_MAX];
    int64_t log_bytes = max_bytes / LOG_PART;

    if (max_bytes < SPOOL_FILE_MIN_BYTES)
        return error_set(err, ERROR_INVALID, "spool: less than %d bytes", SPOOL_FILE_MIN_BYTES);
    if (log_bytes > LOG_MAX_BYTES)
        log_bytes = LOG_MAX_BYTES;
    self->log_max_pages = log_bytes / SPOOL_PAGE_BYTES / 2; /* one more group fits behind it */
    self->pages_max = (max_bytes - log_bytes) / SPOOL_PAGE_BYTES;
    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA max_page_count = %" PRId64 "; PRAGMA journal_size_limit = %" PRId64,
                   self->pages_max, log_bytes);
    return spool_file_run(self, sql, err);
}

/* The order counts: the page size before there is a page, the lock before there is a log. */
static bool configure(struct spool_file *self, int64_t max_bytes, struct error *err)
{
    char sql[SQL_MAX];
    int chunk_bytes = CHUNK_BYTES;
    int64_t format = 0;

    (void)sqlite3_busy_timeout(self->db, SPOOL_FILE_BUSY_MS);
    (void)sqlite3_file_control(self->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk_bytes);
    (void)snprintf(sql, sizeof(sql), "PRAGMA page_size = %d; PRAGMA locking_mode = EXCLUSIVE",
                   SPOOL_PAGE_BYTES);
    if (!spool_file_run(self, sql, err) ||
        !spool_file_run(self, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", err) ||
        !set_limits(self, max_bytes, err) ||
        !spool_file_ask(self, "PRAGMA user_version", &format, err))
        return false;
    (void)sqlite3_wal_hook(self->db, on_log, self);
    if (format == 0 && !spool_file_run(self, "BEGIN IMMEDIATE", err))
        return false;
    if (format == 0 &&
        (!spool_file_run(self, spool_schema_sql, err) || !spool_file_run(self, "COMMIT", err)))
        return false;
    /* A new page 1 is then in the file itself: spool_salvage.c may have to lend it. */
    spool_file_move_log(self);
    if (format != 0 && format != SPOOL_FORMAT)
        return error_set(err, ERROR_INTERNAL, "spool: format %" PRId64 ", and not %d", format,
                         SPOOL_FORMAT);
    return check(self, err);
}

static bool prepare(struct spool_file *self, struct error *err)
{
    int64_t last_id = 0;

    for (int i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(self->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &self->statements[i], NULL);

        if (code != SQLITE_OK)
            return spool_file_fail(self, statement_sql[i], code, err);
    }
    if (!spool_file_ask(self, SPOOL_SELECT("count(*)"), &self->state.batches, err) ||
        !spool_file_ask(self, SPOOL_SELECT("coalesce(sum(events), 0)"), &self->state.events, err) ||
        !spool_file_ask(self, SPOOL_SELECT("coalesce(sum(length(payload)), 0)"), &self->state.bytes,
                        err) ||
        !spool_file_ask(self, "SELECT count(*) FROM damaged", &self->damaged_count, err) ||
        !spool_file_ask(self, "SELECT coalesce(max(id), 0) FROM batches", &last_id, err))
        return false;
    self->next_id = last_id + 1;
    return true;
}

struct spool_file *spool_file_open(const char *path, int64_t max_bytes, bool *out_is_damaged,
                                   struct error *err)
{
    AUTO(spool_file_close) struct spool_file *self = calloc(1, sizeof(*self));
    int code;

    *out_is_damaged = false;
    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "spool: no memory");
        return NULL;
    }
    code = sqlite3_open_v2(path, &self->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        (void)spool_file_fail(self, path, code, err);
        return NULL;
    }
    (void)sqlite3_extended_result_codes(self->db, 1);
    if (!configure(self, max_bytes, err) || !prepare(self, err)) {
        *out_is_damaged = self->is_damaged;
        return NULL;
    }
    return TAKE(self);
}

void spool_file_close(struct spool_file **file)
{
    struct spool_file *self = *file;

    if (self == NULL)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        free_statement(&self->statements[i]);
    (void)sqlite3_close_v2(self->db); /* moves the log into the file, if it can */
    free(self);
    *file = NULL;
}

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct spool_file *self = ctx;

    (void)db;
    (void)name;
    self->log_pages = pages;
    return SQLITE_OK;
}

void spool_file_move_log(struct spool_file *self)
{
    int in_log = 0;
    int moved = 0;
    int code =
        sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);

    if (code == SQLITE_OK && moved == in_log)
        self->log_pages = 0; /* the next commit begins the log anew */
}
