#include "spool_salvage.h"

#include "base/auto.h"
#include "spool_row.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SALVAGE_PROBES_MAX = 1000000, CHUNK_BYTES = 4 << 20, CHUNK_ROWS = 64, NAME_MAX_BYTES = 320 };

struct salvage {
    sqlite3 *db; /* the damaged one */
    struct spool_file *into;
    struct spool_salvage *out;
    int64_t at_ms;
    struct kept_rows *chunk;
    int64_t last_id; /* of the last row that was read */
};

/* The path of a rescue; the definitions follow in this order. */
static bool move_aside(const char *path, struct spool_salvage *out, int64_t at_ms,
                       struct error *err);
static void rescue(const char *fresh_path, struct salvage *self);
static bool read_all(struct salvage *self);
static void take_row(struct salvage *self, sqlite3_stmt *select);
static void flush(struct salvage *self);

static void free_statement(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* repeats the code of the last step */
    *statement = NULL;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

struct spool_file *spool_salvage_open(const char *path, int64_t max_bytes, int64_t at_ms,
                                      struct spool_salvage *out, struct error *err)
{
    AUTO(spool_file_close) struct spool_file *file = NULL;
    AUTO(auto_free) struct kept_rows *chunk = NULL;
    struct salvage salvage = {.out = out, .at_ms = at_ms};
    bool is_damaged;

    *out = (struct spool_salvage){.was_damaged = false};
    file = spool_file_open(path, max_bytes, &is_damaged, err);
    if (file != NULL || !is_damaged)
        return TAKE(file);
    out->was_damaged = true;
    (void)snprintf(out->why, sizeof(out->why), "%s", err->text);
    chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL) {
        error_set(err, ERROR_LIMIT, "spool: no memory");
        return NULL;
    }
    if (!move_aside(path, out, at_ms, err))
        return NULL;
    file = spool_file_open(path, max_bytes, &is_damaged, err);
    if (file == NULL)
        return NULL;
    salvage.into = file;
    salvage.chunk = chunk;
    rescue(path, &salvage);
    return TAKE(file);
}

/* The log goes with its file, under the name that SQLite looks for. */
static bool move_aside(const char *path, struct spool_salvage *out, int64_t at_ms,
                       struct error *err)
{
    char log[NAME_MAX_BYTES];
    char log_aside[NAME_MAX_BYTES];

    (void)snprintf(out->aside, sizeof(out->aside), "%s.damaged-%" PRId64, path, at_ms);
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    (void)snprintf(log_aside, sizeof(log_aside), "%s-wal", out->aside);
    if ((rename(log, log_aside) != 0 && errno != ENOENT) || rename(path, out->aside) != 0)
        return error_set(err, ERROR_UNAVAILABLE, "spool: cannot set %s aside: %s", path,
                         strerrordesc_np(errno));
    return true;
}

static bool open_damaged(struct salvage *self)
{
    int code = sqlite3_open_v2(self->out->aside, &self->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code != SQLITE_OK)
        return false;
    (void)sqlite3_busy_timeout(self->db, SPOOL_FILE_BUSY_MS);
    /* Rows count even where the pages around them do not agree. */
    return sqlite3_exec(self->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) == SQLITE_OK;
}

static void close_damaged(struct salvage *self)
{
    (void)sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close_v2(self->db);
    self->db = NULL;
}

/* Page 1 of the new file, with the number of pages that the damaged one has: "in header" is only
 * believed when two counters agree, so both become 0 and SQLite asks the file's size instead. */
static bool graft_first_page(const char *fresh_path, const char *aside)
{
    AUTO(close_fd) int from = open(fresh_path, O_RDONLY | O_CLOEXEC);
    AUTO(close_fd) int to = open(aside, O_WRONLY | O_CLOEXEC);
    unsigned char page[SPOOL_PAGE_BYTES];

    if (from < 0 || to < 0 || pread(from, page, sizeof(page), 0) != (ssize_t)sizeof(page))
        return false;
    memset(page + 28, 0, 4);    /* pages in the file */
    memset(page + 32, 0, 8);    /* the free list: nobody will write here */
    memset(page + 92, 0xff, 4); /* version-valid-for: does not agree with the change counter */
    return pwrite(to, page, sizeof(page), 0) == (ssize_t)sizeof(page);
}

static void rescue(const char *fresh_path, struct salvage *self)
{
    bool is_read = open_damaged(self) && read_all(self);

    close_damaged(self);
    if (!is_read && graft_first_page(fresh_path, self->out->aside)) {
        (void)(open_damaged(self) && read_all(self)); /* what is left cannot be read by anyone */
        close_damaged(self);
    }
    kept_rows_reset(self->chunk);
}

/* Steps from one end towards the other, up to the first damage. Returns SQLite's last code. */
static int scan(struct salvage *self, const char *sql, int64_t after_id)
{
    AUTO(free_statement) sqlite3_stmt *select = NULL;
    int code = sqlite3_prepare_v2(self->db, sql, -1, &select, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(select, 1, after_id);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(select);
        if (code == SQLITE_ROW)
            take_row(self, select);
    }
    return code;
}

/* One by one: a row is found when the pages that lead to it are whole. */
static void probe(struct salvage *self, int64_t first, int64_t end)
{
    AUTO(free_statement) sqlite3_stmt *select = NULL;
    const char *sql = "SELECT " SPOOL_COLUMNS " FROM batches WHERE id = ?1";

    if (sqlite3_prepare_v2(self->db, sql, -1, &select, NULL) != SQLITE_OK)
        return;
    for (int64_t id = first; id < end; id++) {
        if (sqlite3_bind_int64(select, 1, id) == SQLITE_OK && sqlite3_step(select) == SQLITE_ROW)
            take_row(self, select);
        (void)sqlite3_reset(select);
    }
}

/* False: not one row can be read. */
static bool read_all(struct salvage *self)
{
    int64_t first = 0;
    int64_t end;
    int code;

    self->last_id = 0;
    code = scan(self, "SELECT " SPOOL_COLUMNS " FROM batches WHERE id > ?1 ORDER BY id", 0);
    first = self->last_id;
    if (code != SQLITE_DONE) {
        self->last_id = INT64_MAX;
        code = scan(self, "SELECT " SPOOL_COLUMNS " FROM batches WHERE id > ?1 ORDER BY id DESC",
                    first);
        end = self->last_id;
        if (end > first + SALVAGE_PROBES_MAX)
            end = first + SALVAGE_PROBES_MAX;
        if (code != SQLITE_DONE)
            probe(self, first + 1, end);
    }
    flush(self);
    return code == SQLITE_DONE || self->out->rescued > 0;
}

static void take_row(struct salvage *self, sqlite3_stmt *select)
{
    struct kept_row row;
    struct error err;

    spool_row_read(select, &row);
    self->last_id = row.id;
    if (row.fate == FATE_DAMAGED) {
        self->out->wrong++;
        return;
    }
    if (self->chunk->count == CHUNK_ROWS || self->chunk->size_bytes > CHUNK_BYTES)
        flush(self);
    if (!kept_rows_add(self->chunk, &row, &err))
        self->out->is_partial = true;
}

static void flush(struct salvage *self)
{
    struct keep_job jobs[CHUNK_ROWS];
    struct error err;
    size_t count = self->chunk->count;

    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct keep_job){.batch = self->chunk->rows[i].batch,
                                    .next = i + 1 < count ? &jobs[i + 1] : NULL};
    if (count > 0 && !spool_file_write(self->into, jobs, self->at_ms, &err))
        self->out->is_partial = true;
    else
        self->out->rescued += (int64_t)count;
    kept_rows_reset(self->chunk);
}
