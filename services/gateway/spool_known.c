#include "spool_known.h"

#include "spool_file_private.h"
#include "spool_row.h"

#define KNOWN "temp.known"

static const char begin_sql[] = "PRAGMA temp_store = MEMORY;"
                                "CREATE TABLE " KNOWN " (checksum INTEGER PRIMARY KEY);"
                                "INSERT OR IGNORE INTO " KNOWN " SELECT checksum FROM batches";
static const char add_sql[] = "INSERT OR IGNORE INTO " KNOWN " VALUES (?1)";

bool spool_known_begin(struct spool_known *self, struct spool_file *file, struct error *err)
{
    int code;

    *self = (struct spool_known){.file = file};
    if (!spool_file_run(file, begin_sql, err))
        return false;
    code = sqlite3_prepare_v2(file->db, add_sql, -1, &self->add, NULL);
    return code == SQLITE_OK || spool_file_fail(file, add_sql, code, err);
}

bool spool_known_add(struct spool_known *self, const struct kept_batch *batch, bool *out_is_new,
                     struct error *err)
{
    int code = sqlite3_bind_int64(self->add, 1, spool_row_checksum(batch));

    if (code == SQLITE_OK)
        code = sqlite3_step(self->add);
    *out_is_new = code == SQLITE_DONE && sqlite3_changes(self->file->db) > 0;
    (void)sqlite3_reset(self->add); /* repeats the code of the step */
    return code == SQLITE_DONE || spool_file_fail(self->file, add_sql, code, err);
}

void spool_known_end(struct spool_known *self)
{
    (void)sqlite3_finalize(self->add); /* repeats the code of the last step */
    self->add = NULL;
    (void)sqlite3_exec(self->file->db, "DROP TABLE IF EXISTS " KNOWN, NULL, NULL, NULL);
}
