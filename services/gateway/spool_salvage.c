#include "spool_salvage.h"

#include "base/auto.h"
#include "runtime/auto_file.h"
#include "spool_known.h"
#include "spool_row.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SALVAGE_PROBES_MAX = 1000000, CHUNK_BYTES = 4 << 20, CHUNK_ROWS = 64 };

struct salvage {
    sqlite3 *db; /* the damaged one */
    struct spool_file *into;
    struct spool_salvage *out;
    struct spool_known known; /* what is in it */
    int64_t at_ms;
    struct kept_rows *chunk;
    int64_t last_id;   /* of the last row that was read */
    int64_t low, high; /* of this file: the rows that are not between them have been copied */
    bool is_backwards; /* the scan that is under way */
    int64_t found;     /* rows of this file, known or not */
};

/* The path of a rescue; the definitions follow in this order. */
static void rescue_all(const char *path, const struct spool_asides *asides, struct salvage *self);
static void rescue(const char *fresh_path, struct salvage *self);
static bool read_all(struct salvage *self);
static void take_row(struct salvage *self, sqlite3_stmt *select);
static void flush(struct salvage *self);

#define SELECT_BETWEEN "SELECT " SPOOL_COLUMNS " FROM batches WHERE id > ?1 AND id < ?2"

static void free_statement(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* repeats the code of the last step */
    *statement = NULL;
}

/* NULL: it cannot be opened; is it damaged, it has been set aside. */
static struct spool_file *open_or_replace(const char *path, int64_t max_bytes, int64_t at_ms,
                                          struct spool_salvage *out, struct error *err)
{
    struct spool_file *file;
    bool is_damaged;

    spool_aside_end_move(path);
    file = spool_file_open(path, max_bytes, &is_damaged, err);
    if (file != NULL || !is_damaged)
        return file;
    out->was_damaged = true;
    (void)snprintf(out->why, sizeof(out->why), "%s", err->text);
    if (!spool_aside_move(path, &at_ms, err))
        return NULL;
    spool_aside_name(path, at_ms, out->aside);
    return spool_file_open(path, max_bytes, &is_damaged, err);
}

struct spool_file *spool_salvage_open(const char *path, int64_t max_bytes, int64_t at_ms,
                                      struct spool_salvage *out, struct error *err)
{
    AUTO(spool_file_close) struct spool_file *file = NULL;
    struct salvage salvage = {.out = out, .at_ms = at_ms};
    struct spool_asides asides;

    *out = (struct spool_salvage){.was_damaged = false};
    file = open_or_replace(path, max_bytes, at_ms, out, err);
    spool_aside_list(path, &asides);
    out->asides = asides.count;
    if (asides.count > 0 && file == NULL) {
        out->is_partial = true;
        out->stopped_by = *err;
    } else if (asides.count > 0) {
        salvage.into = file;
        rescue_all(path, &asides, &salvage);
    }
    return TAKE(file);
}

/* The rest waits for the next opening of the file; the first reason is the one that counts. */
static void stop(struct salvage *self, const struct error *why)
{
    if (self->out->is_partial)
        return;
    self->out->is_partial = true;
    self->out->stopped_by = *why;
}

/* Up to the first that cannot be finished now: the next would find no more room than it did. */
static void rescue_all(const char *path, const struct spool_asides *asides, struct salvage *self)
{
    AUTO(auto_free) struct kept_rows *chunk = calloc(1, sizeof(*chunk));
    struct error why;

    self->chunk = chunk;
    if (chunk == NULL) {
        (void)error_set(&why, ERROR_LIMIT, "spool: no memory for a rescue");
        stop(self, &why);
        return;
    }
    if (!spool_known_begin(&self->known, self->into, &why))
        stop(self, &why);
    for (size_t i = 0; i < asides->count && !self->out->is_partial; i++) {
        spool_aside_name(path, asides->at_ms[i], self->out->aside);
        rescue(path, self);
        if (!self->out->is_partial && !spool_aside_mark(path, asides->at_ms[i], &why))
            stop(self, &why);
    }
    spool_known_end(&self->known);
}

/* A disk or a memory that does not serve may serve later; what is damaged stays so. */
static bool may_pass(int code)
{
    switch (code & 0xff) {
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
        return true;
    default:
        return false;
    }
}

/* Returns the code; one that may pass ends the rescue for now. */
static int note(struct salvage *self, int code)
{
    struct error why;

    if (may_pass(code)) {
        (void)error_set(&why, ERROR_UNAVAILABLE, "spool: the damaged file: %s",
                        sqlite3_errstr(code));
        stop(self, &why);
    }
    return code;
}

static bool open_damaged(struct salvage *self)
{
    int code = note(self, sqlite3_open_v2(self->out->aside, &self->db,
                                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));

    if (code != SQLITE_OK)
        return false;
    (void)sqlite3_busy_timeout(self->db, SPOOL_FILE_BUSY_MS);
    /* Rows count even where the pages around them do not agree. */
    code = sqlite3_exec(self->db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    return note(self, code) == SQLITE_OK;
}

static void close_damaged(struct salvage *self)
{
    (void)sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_close_v2(self->db);
    self->db = NULL;
}

/* Page 1 of the new file, with the number of pages that the damaged one has: "in header" is only
 * believed when two counters agree, so both become 0 and SQLite asks the file's size instead. */
static bool graft_first_page(const char *fresh_path, const char *aside, struct error *err)
{
    AUTO(auto_close_fd) int from = open(fresh_path, O_RDONLY | O_CLOEXEC);
    AUTO(auto_close_fd) int to = open(aside, O_WRONLY | O_CLOEXEC);
    unsigned char page[SPOOL_PAGE_BYTES];

    if (from < 0 || to < 0 || pread(from, page, sizeof(page), 0) != (ssize_t)sizeof(page))
        return error_set(err, ERROR_UNAVAILABLE, "spool: page 1 cannot be read: %s",
                         strerrordesc_np(errno));
    memset(page + 28, 0, 4);    /* pages in the file */
    memset(page + 32, 0, 8);    /* the free list: nobody will write here */
    memset(page + 92, 0xff, 4); /* version-valid-for: does not agree with the change counter */
    return pwrite(to, page, sizeof(page), 0) == (ssize_t)sizeof(page) ||
           error_set(err, ERROR_UNAVAILABLE, "spool: page 1 cannot be replaced: %s",
                     strerrordesc_np(errno));
}

/*
 * How far a rescue has come, in the bytes that page 1 has to spare: a full disk has no room for a
 * file beside it. Without it a file for which there is never room at once would be begun again and
 * again, and its end never be reached.
 */
struct progress {
    int64_t low, high;
    uint32_t check;
} __attribute__((packed));

enum { PROGRESS_AT = 72, PROGRESS_BYTES = 20 };

_Static_assert(sizeof(struct progress) == PROGRESS_BYTES, "as many as SQLite leaves unused");

static uint32_t check_of(const struct progress *progress)
{
    return (uint32_t)XXH3_64bits(progress, offsetof(struct progress, check));
}

static void load_progress(struct salvage *self)
{
    AUTO(auto_close_fd) int fd = open(self->out->aside, O_RDONLY | O_CLOEXEC);
    struct progress progress;

    self->low = 0;
    self->high = INT64_MAX;
    if (fd < 0 || pread(fd, &progress, sizeof(progress), PROGRESS_AT) != PROGRESS_BYTES ||
        progress.check != check_of(&progress) || progress.low > progress.high)
        return;
    self->low = progress.low;
    self->high = progress.high;
}

static void save_progress(const struct salvage *self)
{
    AUTO(auto_close_fd) int fd = open(self->out->aside, O_WRONLY | O_CLOEXEC);
    struct progress progress = {.low = self->low, .high = self->high};

    progress.check = check_of(&progress);
    if (fd >= 0) /* else the same is copied again, and counts once */
        (void)!pwrite(fd, &progress, sizeof(progress), PROGRESS_AT);
}

/* What cannot be read in the end can be read by nobody, unless is_partial says otherwise. */
static void rescue(const char *fresh_path, struct salvage *self)
{
    struct error why;
    bool is_read;

    self->found = 0;
    load_progress(self);
    is_read = open_damaged(self) && read_all(self);
    close_damaged(self);
    if (!is_read && !self->out->is_partial) {
        if (!graft_first_page(fresh_path, self->out->aside, &why))
            stop(self, &why);
        else if (open_damaged(self))
            (void)read_all(self);
        close_damaged(self);
    }
    if (self->out->is_partial)
        save_progress(self);
    kept_rows_reset(self->chunk);
}

/* Steps from one end towards the other, up to the first damage. Returns SQLite's last code. */
static int scan(struct salvage *self, const char *sql)
{
    AUTO(free_statement) sqlite3_stmt *select = NULL;
    int code = sqlite3_prepare_v2(self->db, sql, -1, &select, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(select, 1, self->low);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(select, 2, self->high);
    while ((code == SQLITE_OK || code == SQLITE_ROW) && !self->out->is_partial) {
        code = sqlite3_step(select);
        if (code == SQLITE_ROW)
            take_row(self, select);
    }
    return note(self, code);
}

/* One by one: a row is found when the pages that lead to it are whole. */
static void probe(struct salvage *self, int64_t first, int64_t end)
{
    AUTO(free_statement) sqlite3_stmt *select = NULL;
    const char *sql = "SELECT " SPOOL_COLUMNS " FROM batches WHERE id = ?1";

    if (note(self, sqlite3_prepare_v2(self->db, sql, -1, &select, NULL)) != SQLITE_OK)
        return;
    for (int64_t id = first; id < end && !self->out->is_partial; id++) {
        int code = sqlite3_bind_int64(select, 1, id);

        if (code == SQLITE_OK)
            code = note(self, sqlite3_step(select));
        if (code == SQLITE_ROW)
            take_row(self, select);
        (void)sqlite3_reset(select); /* repeats the code of the step */
    }
}

/* False: not one row can be read. */
static bool read_all(struct salvage *self)
{
    int64_t first;
    int64_t end;
    int code;

    self->is_backwards = false;
    self->last_id = self->low;
    code = scan(self, SELECT_BETWEEN " ORDER BY id");
    flush(self);
    first = self->last_id;
    if (code != SQLITE_DONE && !self->out->is_partial) {
        self->is_backwards = true;
        self->last_id = self->high;
        code = scan(self, SELECT_BETWEEN " ORDER BY id DESC");
        flush(self);
        end = self->last_id;
        if (end > first + SALVAGE_PROBES_MAX)
            end = first + SALVAGE_PROBES_MAX;
        self->is_backwards = false;
        if (code != SQLITE_DONE)
            probe(self, first + 1, end);
        flush(self);
    }
    return code == SQLITE_DONE || self->found > 0 || self->low > 0;
}

static void take_row(struct salvage *self, sqlite3_stmt *select)
{
    struct kept_row row;
    struct error why;
    bool is_new = false;

    spool_row_read(select, &row);
    self->last_id = row.id;
    if (row.fate == FATE_DAMAGED) {
        self->out->wrong++;
        return;
    }
    self->found++;
    if (self->chunk->count == CHUNK_ROWS || self->chunk->size_bytes > CHUNK_BYTES)
        flush(self);
    if (self->out->is_partial)
        return;
    if (!spool_known_add(&self->known, &row.batch, &is_new, &why) ||
        (is_new && !kept_rows_add(self->chunk, &row, &why)))
        stop(self, &why);
}

/* So many rows of the chunk, in one transaction. */
static bool copy(struct salvage *self, size_t first, size_t count, struct error *err)
{
    struct keep_job jobs[CHUNK_ROWS];
    int64_t last_id = self->chunk->rows[first + count - 1].id;

    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct keep_job){.batch = self->chunk->rows[first + i].batch,
                                    .next = i + 1 < count ? &jobs[i + 1] : NULL};
    if (!spool_file_write(self->into, jobs, self->at_ms, err))
        return false;
    self->out->rescued += (int64_t)count;
    if (self->is_backwards)
        self->high = last_id;
    else
        self->low = last_id;
    return true;
}

/* Where there is no room for all of them there may be for some: else it would never get on. */
static void flush(struct salvage *self)
{
    size_t count = self->chunk->count;
    struct error why;

    if (count == 0 || self->out->is_partial || copy(self, 0, count, &why)) {
        kept_rows_reset(self->chunk);
        return;
    }
    for (size_t i = 0; i < count && !self->out->is_partial; i++) {
        if (!copy(self, i, 1, &why))
            stop(self, &why);
    }
    kept_rows_reset(self->chunk);
}
