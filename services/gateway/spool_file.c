#include "spool_file.h"

#include "base/auto.h"
#include "spool_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The log is moved into the file after CHECKPOINT_PAGES. LOG_PART of max_bytes is the log's: it
 * holds one group of batches above that, or, should moving fail, as much as its part allows.
 */
enum { CHECKPOINT_PAGES = 1024, LOG_PART = 4, LOG_MAX_BYTES = 32 << 20, SQL_MAX = 160 };

#define COUNT(what) "SELECT " what " FROM batches WHERE " NOT_DAMAGED
#define NOT_DAMAGED "id NOT IN (SELECT id FROM damaged)"

enum statement { INSERT_ROW, SELECT_ROWS, DELETE_ROW, UPDATE_ROW, SET_ASIDE, STATEMENT_COUNT };

static const char *const statement_sql[] = {
    [INSERT_ROW] =
        "INSERT INTO batches (" SPOOL_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SELECT_ROWS] =
        "SELECT " SPOOL_COLUMNS
        " FROM batches WHERE (?1 >> (partition & 63)) & 1 = 0 AND " NOT_DAMAGED " ORDER BY id",
    [DELETE_ROW] = "DELETE FROM batches WHERE id = ?1",
    [UPDATE_ROW] = "UPDATE batches SET attempt_k = ?2 WHERE id = ?1",
    [SET_ASIDE] = "INSERT INTO damaged (id, why) VALUES (?1, ?2)",
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

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages);

/* What SQLite's code means for us; always false. */
static bool fail(struct spool_file *self, const char *what, int code, struct error *err)
{
    enum error_kind kind = ERROR_UNAVAILABLE;

    switch (code & 0xff) {
    case SQLITE_FULL: /* max_page_count, or ENOSPC */
        kind = ERROR_LIMIT;
        break;
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

static bool run(struct spool_file *self, const char *sql, struct error *err)
{
    int code = sqlite3_exec(self->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK || fail(self, sql, code, err);
}

static void free_statement(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* repeats the code of the last step */
    *statement = NULL;
}

/* One number of a statement without parameters. */
static bool ask(struct spool_file *self, const char *sql, int64_t *out, struct error *err)
{
    AUTO(free_statement) sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return fail(self, sql, code, err);
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
        return fail(self, "quick_check", code, err);
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
    return run(self, sql, err);
}

/* The order counts: the page size before there is a page, the lock before there is a log. */
static bool configure(struct spool_file *self, int64_t max_bytes, struct error *err)
{
    char sql[SQL_MAX];
    int64_t format = 0;

    (void)sqlite3_busy_timeout(self->db, SPOOL_FILE_BUSY_MS);
    (void)snprintf(sql, sizeof(sql), "PRAGMA page_size = %d; PRAGMA locking_mode = EXCLUSIVE",
                   SPOOL_PAGE_BYTES);
    if (!run(self, sql, err) ||
        !run(self, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", err) ||
        !set_limits(self, max_bytes, err) || !ask(self, "PRAGMA user_version", &format, err))
        return false;
    (void)sqlite3_wal_hook(self->db, on_log, self);
    if (format == 0 && !run(self, "BEGIN IMMEDIATE", err))
        return false;
    if (format == 0 && (!run(self, spool_schema_sql, err) || !run(self, "COMMIT", err)))
        return false;
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
            return fail(self, statement_sql[i], code, err);
    }
    if (!ask(self, COUNT("count(*)"), &self->state.batches, err) ||
        !ask(self, COUNT("coalesce(sum(events), 0)"), &self->state.events, err) ||
        !ask(self, COUNT("coalesce(sum(length(payload)), 0)"), &self->state.bytes, err) ||
        !ask(self, "SELECT count(*) FROM damaged", &self->damaged_count, err) ||
        !ask(self, "SELECT coalesce(max(id), 0) FROM batches", &last_id, err))
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
        (void)fail(self, path, code, err);
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

bool spool_file_is_broken(const struct spool_file *self)
{
    return self->is_broken;
}

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct spool_file *self = ctx;

    (void)db;
    (void)name;
    self->log_pages = pages;
    return SQLITE_OK;
}

/* What fails here has failed after the commit: the rows are safe in the log, which may grow on. */
static void move_log(struct spool_file *self)
{
    int in_log = 0;
    int moved = 0;
    int code =
        sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);

    if (code == SQLITE_OK && moved == in_log)
        self->log_pages = 0; /* the next commit begins the log anew */
}

static bool begin(struct spool_file *self, struct error *err)
{
    if (self->is_broken)
        return error_set(err, ERROR_UNAVAILABLE, "spool: waits to be opened again");
    if (self->log_pages >= self->log_max_pages)
        move_log(self);
    if (self->log_pages >= self->log_max_pages)
        return error_set(err, ERROR_LIMIT, "spool: the log cannot be moved into the file");
    return run(self, "BEGIN IMMEDIATE", err);
}

/* Undoes what has been done of a transaction; SQLite may have done so itself. */
static bool give_up(struct spool_file *self)
{
    struct error ignored; /* the first failure is the one to tell */

    if (!sqlite3_get_autocommit(self->db) && !run(self, "ROLLBACK", &ignored))
        self->is_broken = true;
    return false;
}

static bool commit(struct spool_file *self, struct error *err)
{
    if (!run(self, "COMMIT", err))
        return give_up(self);
    if (self->log_pages >= CHECKPOINT_PAGES || self->log_pages >= self->log_max_pages)
        move_log(self);
    return true;
}

/* Runs a statement that gives no rows; its parameters are bound. */
static bool finish(struct spool_file *self, enum statement which, int bind_code, struct error *err)
{
    sqlite3_stmt *statement = self->statements[which];
    int code = bind_code == SQLITE_OK ? sqlite3_step(statement) : bind_code;
    bool is_done = code == SQLITE_DONE;

    if (!is_done)
        (void)fail(self, "write", code, err);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return is_done;
}

static bool write_jobs(struct spool_file *self, const struct keep_job *jobs, int64_t at_ms,
                       struct error *err)
{
    struct kept_state after = self->state;
    int64_t next_id = self->next_id;

    if (!begin(self, err))
        return false;
    for (const struct keep_job *job = jobs; job != NULL; job = job->next) {
        int code = spool_row_bind(self->statements[INSERT_ROW], next_id, &job->batch, at_ms);

        if (!finish(self, INSERT_ROW, code, err))
            return give_up(self);
        next_id++;
        after.batches++;
        after.events += job->batch.events;
        after.bytes += (int64_t)job->batch.size_bytes;
    }
    if (!commit(self, err))
        return false;
    self->next_id = next_id;
    self->state = after;
    return true;
}

/*
 * A full disk refuses the log's next page although the file may have room: with the log moved into
 * the file, it begins anew where it has space already.
 */
static bool make_room(struct spool_file *self, const struct error *err)
{
    if (err->kind != ERROR_LIMIT || self->is_broken || self->log_pages == 0)
        return false;
    move_log(self);
    return self->log_pages == 0;
}

bool spool_file_write(struct spool_file *self, const struct keep_job *jobs, int64_t at_ms,
                      struct error *err)
{
    return write_jobs(self, jobs, at_ms, err) ||
           (make_room(self, err) && write_jobs(self, jobs, at_ms, err));
}

/* False: the limits are reached, or the row could not be copied, which err then says. */
static bool take_row(sqlite3_stmt *select, const struct kept_limits *limits, struct kept_rows *out,
                     struct error *err)
{
    struct kept_row row;

    spool_row_read(select, &row);
    if (row.fate == FATE_KEPT && row.batch.size_bytes > limits->payload_max) {
        row.fate = FATE_DAMAGED;
        row.why = "larger than the server's max_payload";
    }
    return kept_rows_has_room(out, limits, row.batch.size_bytes, row.batch.events) &&
           kept_rows_add(out, &row, err);
}

bool spool_file_read(struct spool_file *self, const struct kept_limits *limits,
                     struct kept_rows *out, struct error *err)
{
    sqlite3_stmt *select = self->statements[SELECT_ROWS];
    struct error why = {0};
    int64_t skip;
    int code;

    if (self->is_broken)
        return error_set(err, ERROR_UNAVAILABLE, "spool: waits to be opened again");
    memcpy(&skip, &limits->skip_partitions, sizeof(skip));
    code = sqlite3_bind_int64(select, 1, skip);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(select);
        if (code == SQLITE_ROW && !take_row(select, limits, out, &why))
            break;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        (void)fail(self, "read", code, &why);
    (void)sqlite3_reset(select);
    if (out->count > 0 || why.kind == ERROR_NONE) /* what was read before the failure is good */
        return true;
    *err = why;
    return false;
}

static bool delete_row(struct spool_file *self, int64_t id, struct error *err)
{
    return finish(self, DELETE_ROW, sqlite3_bind_int64(self->statements[DELETE_ROW], 1, id), err);
}

static bool set_attempt(struct spool_file *self, const struct kept_row *row, struct error *err)
{
    sqlite3_stmt *update = self->statements[UPDATE_ROW];
    int code = sqlite3_bind_int64(update, 1, row->id);

    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(update, 2, row->batch.attempt_k);
    return finish(self, UPDATE_ROW, code, err);
}

static bool set_aside(struct spool_file *self, const struct kept_row *row, struct error *err)
{
    sqlite3_stmt *insert = self->statements[SET_ASIDE];
    int code = sqlite3_bind_int64(insert, 1, row->id);

    if (code == SQLITE_OK)
        code = sqlite3_bind_text(insert, 2, row->why, -1, SQLITE_STATIC);
    return finish(self, SET_ASIDE, code, err);
}

static bool settle_row(struct spool_file *self, const struct kept_row *row, struct error *err)
{
    switch (row->fate) {
    case FATE_KEPT:
        return true;
    case FATE_PUBLISHED:
        return delete_row(self, row->id, err);
    case FATE_REFUSED:
        return set_attempt(self, row, err);
    case FATE_DAMAGED:
        return set_aside(self, row, err);
    }
    return true;
}

static bool settle_rows(struct spool_file *self, const struct kept_rows *rows, struct error *err)
{
    struct kept_state after = self->state;
    int64_t damaged = 0;

    if (!begin(self, err))
        return false;
    for (size_t i = 0; i < rows->count; i++) {
        const struct kept_row *row = &rows->rows[i];

        if (!settle_row(self, row, err))
            return give_up(self);
        if (row->fate != FATE_PUBLISHED && row->fate != FATE_DAMAGED)
            continue;
        damaged += row->fate == FATE_DAMAGED;
        after.batches--;
        after.events -= row->batch.events;
        after.bytes -= (int64_t)row->batch.size_bytes;
    }
    if (!commit(self, err))
        return false;
    self->state = after;
    self->damaged_count += damaged;
    return true;
}

bool spool_file_settle(struct spool_file *self, const struct kept_rows *rows, struct error *err)
{
    return kept_rows_count(rows, FATE_KEPT) == rows->count || settle_rows(self, rows, err) ||
           (make_room(self, err) && settle_rows(self, rows, err));
}

struct kept_state spool_file_state(struct spool_file *self)
{
    struct kept_state state = self->state;
    struct error ignored; /* the age is for show */

    if (state.batches > 0 && !self->is_broken &&
        !ask(self, COUNT("kept_at_ms") " ORDER BY id LIMIT 1", &state.oldest_at_ms, &ignored))
        state.oldest_at_ms = 0;
    return state;
}

int64_t spool_file_damaged_count(const struct spool_file *self)
{
    return self->damaged_count;
}

int64_t spool_file_used_bytes(struct spool_file *self)
{
    struct error ignored; /* for show, like the age */
    int64_t pages = 0;
    int64_t unused = 0;

    if (self->is_broken || !ask(self, "PRAGMA page_count", &pages, &ignored) ||
        !ask(self, "PRAGMA freelist_count", &unused, &ignored))
        return self->state.bytes;
    return (pages - unused) * SPOOL_PAGE_BYTES;
}

int64_t spool_file_max_bytes(const struct spool_file *self)
{
    return self->pages_max * SPOOL_PAGE_BYTES;
}
