#include "spool_row.h"

#include <inttypes.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The order of SPOOL_COLUMNS. */
enum column {
    COLUMN_ID,
    COLUMN_GATEWAY_ID,
    COLUMN_THREAD,
    COLUMN_PARTITION,
    COLUMN_BATCH_NO,
    COLUMN_ATTEMPT_K,
    COLUMN_EVENTS,
    COLUMN_KEPT_AT_MS,
    COLUMN_CHECKSUM,
    COLUMN_PAYLOAD,
};

#define ROW_SQL                                                                                    \
    "id INTEGER PRIMARY KEY, gateway_id BLOB NOT NULL, thread INTEGER NOT NULL,"                   \
    " partition INTEGER NOT NULL, batch_no INTEGER NOT NULL, attempt_k INTEGER NOT NULL,"          \
    " events INTEGER NOT NULL, kept_at_ms INTEGER NOT NULL, checksum INTEGER NOT NULL,"            \
    " payload BLOB NOT NULL"

const char spool_schema_sql[] = "CREATE TABLE batches (" ROW_SQL ");"
                                "CREATE TABLE damaged (id INTEGER PRIMARY KEY, why TEXT NOT NULL);"
                                "PRAGMA user_version = 1;";

_Static_assert(SPOOL_FORMAT == 1, "spool_schema_sql sets it");

/* What the payload's hash is seeded with: the numbers that name the batch. */
static uint64_t hash_name(const struct kept_batch *batch)
{
    unsigned char name[40] = {0};

    memcpy(name, batch->gateway_id, sizeof(batch->gateway_id));
    memcpy(name + 16, &batch->thread, sizeof(batch->thread));
    memcpy(name + 20, &batch->partition, sizeof(batch->partition));
    memcpy(name + 24, &batch->batch_no, sizeof(batch->batch_no));
    memcpy(name + 32, &batch->events, sizeof(batch->events));
    return XXH3_64bits(name, sizeof(name));
}

int64_t spool_row_checksum(const struct kept_batch *batch)
{
    uint64_t sum =
        XXH3_64bits_withSeed(batch->bytes, batch->size_bytes, (XXH64_hash_t)hash_name(batch));
    int64_t as_stored;

    memcpy(&as_stored, &sum, sizeof(as_stored)); /* SQLite's integers are signed */
    return as_stored;
}

int spool_row_bind(sqlite3_stmt *insert, int64_t id, const struct kept_batch *batch,
                   int64_t kept_at_ms)
{
    const int64_t numbers[] = {
        [COLUMN_ID] = id,
        [COLUMN_THREAD] = batch->thread,
        [COLUMN_PARTITION] = batch->partition,
        [COLUMN_BATCH_NO] = (int64_t)batch->batch_no,
        [COLUMN_ATTEMPT_K] = batch->attempt_k,
        [COLUMN_EVENTS] = batch->events,
        [COLUMN_KEPT_AT_MS] = kept_at_ms,
        [COLUMN_CHECKSUM] = spool_row_checksum(batch),
    };
    int code = SQLITE_OK;

    for (int i = COLUMN_ID; i <= COLUMN_CHECKSUM && code == SQLITE_OK; i++) {
        code = i == COLUMN_GATEWAY_ID
                   ? sqlite3_bind_blob(insert, i + 1, batch->gateway_id,
                                       (int)sizeof(batch->gateway_id), SQLITE_STATIC)
                   : sqlite3_bind_int64(insert, i + 1, numbers[i]);
    }
    if (code != SQLITE_OK)
        return code;
    return sqlite3_bind_blob64(insert, COLUMN_PAYLOAD + 1, batch->bytes, batch->size_bytes,
                               SQLITE_STATIC);
}

void spool_row_read(sqlite3_stmt *select, struct kept_row *out)
{
    const void *gateway_id = sqlite3_column_blob(select, COLUMN_GATEWAY_ID);
    size_t id_bytes = (size_t)sqlite3_column_bytes(select, COLUMN_GATEWAY_ID);

    *out = (struct kept_row){
        .id = sqlite3_column_int64(select, COLUMN_ID),
        .batch =
            {
                .thread = (uint32_t)sqlite3_column_int64(select, COLUMN_THREAD),
                .partition = (uint32_t)sqlite3_column_int64(select, COLUMN_PARTITION),
                .batch_no = (uint64_t)sqlite3_column_int64(select, COLUMN_BATCH_NO),
                .attempt_k = (uint32_t)sqlite3_column_int64(select, COLUMN_ATTEMPT_K),
                .events = (uint32_t)sqlite3_column_int64(select, COLUMN_EVENTS),
                .bytes = sqlite3_column_blob(select, COLUMN_PAYLOAD),
                .size_bytes = (size_t)sqlite3_column_bytes(select, COLUMN_PAYLOAD),
            },
        .kept_at_ms = sqlite3_column_int64(select, COLUMN_KEPT_AT_MS),
    };
    if (gateway_id != NULL && id_bytes == sizeof(out->batch.gateway_id))
        memcpy(out->batch.gateway_id, gateway_id, id_bytes);
    if (sqlite3_column_int64(select, COLUMN_CHECKSUM) != spool_row_checksum(&out->batch)) {
        out->fate = FATE_DAMAGED;
        out->why = "the checksum is wrong";
    }
}
