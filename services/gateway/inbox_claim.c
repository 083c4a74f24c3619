#include "inbox_claim.h"

#include "base/auto.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 24, OID_INT8 = 20, OID_INT4 = 23, OID_UUID = 2950, KEYS = 5 };

/* A limit as a bigint. */
static void format_size(size_t size_bytes, char out[NUMBER_SIZE])
{
    (void)snprintf(out, NUMBER_SIZE, "%zu", size_bytes < INT64_MAX ? size_bytes : INT64_MAX);
}

static int64_t number_at(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

bool inbox_read_state(struct pg *pg, size_t payload_max, struct inbox_state *out, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char max[NUMBER_SIZE];
    const struct pg_param param = {.value = max};

    format_size(payload_max, max);
    if (!pg_query(pg, "inbox_state",
                  "SELECT count(*), coalesce(sum(events), 0),"
                  " coalesce(sum(octet_length(payload)), 0),"
                  " coalesce((extract(epoch FROM min(kept_at)) * 1000)::bigint, 0),"
                  " count(*) FILTER (WHERE octet_length(payload) > $1::bigint) FROM inbox",
                  &param, 1, &result, err))
        return false;
    *out = (struct inbox_state){
        .kept = {.batches = number_at(result, 0, 0),
                 .events = number_at(result, 0, 1),
                 .bytes = number_at(result, 0, 2),
                 .oldest_at_ms = number_at(result, 0, 3)},
        .too_large = number_at(result, 0, 4),
    };
    return true;
}

/* "0190a0c0-...": 32 digits, hyphens between. */
static bool read_uuid(const char *text, uint8_t out[16])
{
    for (size_t i = 0; i < 16; i++) {
        if (*text == '-')
            text++;
        if (hex_value(text[0]) < 0 || hex_value(text[1]) < 0)
            return false;
        out[i] = (uint8_t)(hex_value(text[0]) << 4 | hex_value(text[1]));
        text += 2;
    }
    return *text == '\0';
}

static void free_bytes(unsigned char **bytes)
{
    PQfreemem(*bytes);
    *bytes = NULL;
}

static bool read_row(const PGresult *result, int index, struct kept_rows *out, struct error *err)
{
    struct kept_row row = {
        .batch = {.thread = (uint32_t)number_at(result, index, 1),
                  .partition = (uint32_t)number_at(result, index, 2),
                  .batch_no = (uint64_t)number_at(result, index, 3),
                  .attempt_k = (uint32_t)number_at(result, index, 4),
                  .events = (uint32_t)number_at(result, index, 5)},
        .kept_at_ms = number_at(result, index, 7),
    };
    AUTO(free_bytes)
    unsigned char *bytes =
        PQunescapeBytea((const unsigned char *)PQgetvalue(result, index, 6), &row.batch.size_bytes);

    if (bytes == NULL)
        return error_set(err, ERROR_LIMIT, "inbox: no memory for a batch");
    if (!read_uuid(PQgetvalue(result, index, 0), row.batch.gateway_id))
        return error_set(err, ERROR_INTERNAL, "inbox: no gateway_id");
    row.batch.bytes = bytes;
    return kept_rows_add(out, &row, err);
}

static bool select_rows(struct pg *pg, const struct kept_limits *limits, struct kept_rows *out,
                        struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    size_t rows_max = limits->rows_max < INBOX_CLAIM_MAX ? limits->rows_max : INBOX_CLAIM_MAX;
    char payload_max[NUMBER_SIZE];
    char skip[NUMBER_SIZE];
    char count[NUMBER_SIZE];
    const struct pg_param params[] = {{.value = payload_max}, {.value = skip}, {.value = count}};

    format_size(limits->payload_max, payload_max);
    (void)snprintf(skip, sizeof(skip), "%" PRId64, (int64_t)limits->skip_partitions);
    (void)snprintf(count, sizeof(count), "%zu", rows_max);
    if (!pg_query(pg, "inbox_claim",
                  "SELECT gateway_id, thread, partition, batch_no, try, events, payload,"
                  " (extract(epoch FROM kept_at) * 1000)::bigint FROM inbox"
                  " WHERE octet_length(payload) <= $1::bigint"
                  " AND ($2::bigint >> (partition & 63)) & 1 = 0"
                  " ORDER BY kept_at LIMIT $3::bigint FOR UPDATE SKIP LOCKED",
                  params, 3, &result, err))
        return false;
    for (int i = 0; i < PQntuples(result); i++) {
        if (!read_row(result, i, out, err))
            return out->count > 0; /* the others are claimed again by the next */
    }
    return true;
}

bool inbox_claim(struct pg *pg, const struct kept_limits *limits, struct kept_rows *out,
                 struct error *err)
{
    bool is_claimed = pg_begin(pg, "", err) && select_rows(pg, limits, out, err);

    if (!is_claimed || out->count == 0)
        pg_rollback(pg);
    return is_claimed;
}

static void free_keys(struct pg_array (*keys)[KEYS])
{
    for (int i = 0; i < KEYS; i++)
        pg_array_free(&(*keys)[i]);
}

/* Runs the statement for the rows of one fate; $1 to $5 are their keys and tries. */
static bool apply(struct pg *pg, const struct kept_rows *rows, enum kept_fate fate,
                  const char *name, const char *sql, struct error *err)
{
    static const Oid types[KEYS] = {OID_UUID, OID_INT4, OID_INT4, OID_INT8, OID_INT4};
    AUTO(free_keys) struct pg_array keys[KEYS];
    struct pg_param params[KEYS];

    for (int i = 0; i < KEYS; i++)
        pg_array_init(&keys[i], types[i]);
    for (size_t i = 0; i < rows->count; i++) {
        const struct kept_batch *batch = &rows->rows[i].batch;

        if (rows->rows[i].fate != fate)
            continue;
        pg_array_add_bytes(&keys[0], batch->gateway_id, sizeof(batch->gateway_id));
        pg_array_add_int32(&keys[1], (int32_t)batch->thread);
        pg_array_add_int32(&keys[2], (int32_t)batch->partition);
        pg_array_add_int64(&keys[3], (int64_t)batch->batch_no);
        pg_array_add_int32(&keys[4], (int32_t)batch->attempt_k);
    }
    for (int i = 0; i < KEYS; i++) {
        if (!pg_array_param(&keys[i], &params[i], err))
            return false;
    }
    return keys[0].count == 0 || pg_query(pg, name, sql, params, KEYS, NULL, err);
}

#define KEYS_SQL                                                                                   \
    "unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[], $5::int[])"                            \
    " AS k(gateway_id, thread, partition, batch_no, try)"
#define MATCH_SQL                                                                                  \
    " WHERE i.gateway_id = k.gateway_id AND i.thread = k.thread"                                   \
    " AND i.partition = k.partition AND i.batch_no = k.batch_no"

bool inbox_settle(struct pg *pg, const struct kept_rows *rows, struct error *err)
{
    if (apply(pg, rows, FATE_PUBLISHED, "inbox_delete",
              "DELETE FROM inbox i USING " KEYS_SQL MATCH_SQL, err) &&
        apply(pg, rows, FATE_REFUSED, "inbox_refused",
              "UPDATE inbox i SET try = k.try FROM " KEYS_SQL MATCH_SQL, err) &&
        pg_commit(pg, err))
        return true;
    pg_rollback(pg); /* published twice is counted once */
    return false;
}
