#include "spool_file_private.h"

#include "base/auto.h"
#include "spool_row.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKPOINT_PAGES = 1024 }; /* the log is moved into the file when it has so many */

bool spool_file_is_broken(const struct spool_file *self)
{
    return self->is_broken;
}

static bool begin(struct spool_file *self, struct error *err)
{
    if (self->is_broken)
        return error_set(err, ERROR_UNAVAILABLE, "spool: waits to be opened again");
    if (self->log_pages >= self->log_max_pages)
        spool_file_move_log(self);
    if (self->log_pages >= self->log_max_pages)
        return error_set(err, ERROR_LIMIT, "spool: the log cannot be moved into the file");
    return spool_file_run(self, "BEGIN IMMEDIATE", err);
}

/* Undoes what has been done of a transaction; SQLite may have done so itself. */
static bool give_up(struct spool_file *self)
{
    struct error ignored; /* the first failure is the one to tell */

    if (!sqlite3_get_autocommit(self->db) && !spool_file_run(self, "ROLLBACK", &ignored))
        self->is_broken = true;
    return false;
}

static bool commit(struct spool_file *self, struct error *err)
{
    if (!spool_file_run(self, "COMMIT", err))
        return give_up(self);
    if (self->log_pages >= CHECKPOINT_PAGES || self->log_pages >= self->log_max_pages)
        spool_file_move_log(self);
    return true;
}

/*
 * Before a commit the file itself gets the room that its pages will need: so the log can always be
 * moved into it, and begun anew, however full the disk is by then. Else a full disk would keep even
 * what is published from being deleted.
 */
static bool reserve(struct spool_file *self, struct error *err)
{
    sqlite3_int64 size_bytes = 0;
    int64_t pages = 0;

    if (!spool_file_ask(self, "PRAGMA page_count", &pages, err))
        return false;
    size_bytes = pages * SPOOL_PAGE_BYTES;
    if (sqlite3_file_control(self->db, "main", SQLITE_FCNTL_SIZE_HINT, &size_bytes) == SQLITE_OK)
        return true;
    return error_set(err, ERROR_LIMIT, "spool: the disk has no room for %" PRId64 " bytes",
                     pages * SPOOL_PAGE_BYTES);
}

/* Runs a statement that gives no rows; its parameters are bound. */
static bool finish(struct spool_file *self, enum spool_statement which, int bind_code,
                   struct error *err)
{
    sqlite3_stmt *statement = self->statements[which];
    int code = bind_code == SQLITE_OK ? sqlite3_step(statement) : bind_code;
    bool is_done = code == SQLITE_DONE;

    if (!is_done)
        (void)spool_file_fail(self, "write", code, err);
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
    if (!reserve(self, err))
        return give_up(self);
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
    spool_file_move_log(self);
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
        (void)spool_file_fail(self, "read", code, &why);
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

/* Rows from first on, count of them, in one transaction. */
static bool settle_some(struct spool_file *self, const struct kept_rows *rows, size_t first,
                        size_t count, struct error *err)
{
    struct kept_state after = self->state;
    int64_t damaged = 0;

    if (!begin(self, err))
        return false;
    for (size_t i = first; i < first + count; i++) {
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

/* On a full disk the log has room for a few pages only: then in smaller pieces, down to one row. */
bool spool_file_settle(struct spool_file *self, const struct kept_rows *rows, struct error *err)
{
    size_t piece = rows->count;
    size_t done = 0;

    if (kept_rows_count(rows, FATE_KEPT) == rows->count)
        return true;
    while (done < rows->count) {
        size_t left = rows->count - done;

        if (settle_some(self, rows, done, piece < left ? piece : left, err)) {
            done += piece;
            continue;
        }
        if (err->kind != ERROR_LIMIT || (piece == 1 && !make_room(self, err)))
            return false;
        (void)make_room(self, err);
        piece = piece > 1 ? piece / 2 : 1;
    }
    return true;
}

struct kept_state spool_file_state(struct spool_file *self)
{
    struct kept_state state = self->state;
    struct error ignored; /* the age is for show */

    if (state.batches > 0 && !self->is_broken &&
        !spool_file_ask(self, SPOOL_SELECT("kept_at_ms") " ORDER BY id LIMIT 1",
                        &state.oldest_at_ms, &ignored))
        state.oldest_at_ms = 0;
    return state;
}

int64_t spool_file_batches(const struct spool_file *self)
{
    return self->state.batches;
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

    if (self->is_broken || !spool_file_ask(self, "PRAGMA page_count", &pages, &ignored) ||
        !spool_file_ask(self, "PRAGMA freelist_count", &unused, &ignored))
        return self->state.bytes;
    return (pages - unused) * SPOOL_PAGE_BYTES;
}

int64_t spool_file_max_bytes(const struct spool_file *self)
{
    return self->pages_max * SPOOL_PAGE_BYTES;
}
