#include "target.h"

#include "base/auto.h"
#include "clients/pg.h"
#include "event/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

enum {
    CONNECT_MS = 10 * 1000,
    QUERY_MS = 60 * 1000,
    KEY_HEX_SIZE = 2 * TARGET_KEY_SIZE + 1,
    OID_BYTEA = 17,
    OID_TEXT = 25,
    OID_UUID = 2950,
};

struct target {
    struct pg *pg;
    uint32_t partitions;
};

static bool agree_on_partitions(struct target *self, uint32_t partitions, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    unsigned long said = 0;

    if (!pg_query(self->pg, NULL, "SELECT value FROM deployment WHERE name = 'partitions'", NULL, 0,
                  &result, err)) {
        if (strcmp(pg_sqlstate(self->pg), "42P01") == 0)
            return error_set(err, ERROR_INVALID,
                             "DATABASE_URL is not adledger's database: start adledger on it first");
        return false;
    }
    if (PQntuples(result) == 1)
        said = strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    if (said == 0 || said > TARGET_PARTITIONS_MAX)
        return error_set(err, ERROR_INVALID,
                         "ingest has never run on this database: start adledger on it first");
    if (partitions != 0 && partitions != said)
        return error_set(err, ERROR_INVALID,
                         "PARTITIONS is %" PRIu32 ", but the database was set up with %lu",
                         partitions, said);
    self->partitions = (uint32_t)said;
    return true;
}

struct target *target_open(struct endpoint *postgres, uint32_t partitions, struct error *err)
{
    AUTO(target_close) struct target *self = calloc(1, sizeof(*self));

    if (self != NULL)
        self->pg = pg_new(&(struct pg_options){.endpoint = postgres,
                                               .application = "adledger import",
                                               .connect_ms = CONNECT_MS,
                                               .query_ms = QUERY_MS});
    if (self == NULL || self->pg == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    if (!agree_on_partitions(self, partitions, err))
        return NULL;
    return TAKE(self);
}

void target_close(struct target **target)
{
    if (*target == NULL)
        return;
    pg_close(&(*target)->pg);
    free(*target);
    *target = NULL;
}

uint32_t target_partitions(const struct target *target)
{
    return target->partitions;
}

bool target_read_ads(struct target *target, target_ad_fn each, void *ctx, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    if (!pg_query(target->pg, NULL, "SELECT id FROM ads", NULL, 0, &result, err))
        return false;
    for (int i = 0; i < PQntuples(result); i++)
        if (!each(ctx, PQgetvalue(result, i, 0), err))
            return false;
    return true;
}

struct ad_arrays {
    struct pg_array of[AD_FIELD_COUNT];
};

static void ad_arrays_free(struct ad_arrays *arrays)
{
    for (size_t i = 0; i < AD_FIELD_COUNT; i++)
        pg_array_free(&arrays->of[i]);
}

bool target_enter_ads(struct target *target, const struct target_ad *ads, size_t count,
                      int64_t *out_entered, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    AUTO(ad_arrays_free) struct ad_arrays arrays;
    struct pg_param params[AD_FIELD_COUNT];

    for (size_t field = 0; field < AD_FIELD_COUNT; field++)
        pg_array_init(&arrays.of[field], OID_TEXT);
    for (size_t field = 0; field < AD_FIELD_COUNT; field++) {
        for (size_t i = 0; i < count; i++) {
            const char *value = ads[i].values[field];

            if (value == NULL)
                pg_array_add_null(&arrays.of[field]);
            else
                pg_array_add_bytes(&arrays.of[field], value, strlen(value));
        }
        if (!pg_array_param(&arrays.of[field], &params[field], err))
            return false;
    }
    if (!pg_query(target->pg, "enter_ads",
                  "INSERT INTO ads (id, title, image_url, video_url, target_url, created_at)"
                  " SELECT id, coalesce(title, ''), coalesce(image, ''), coalesce(video, ''),"
                  "        coalesce(target, ''), coalesce(created::timestamptz, now())"
                  " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],"
                  "             $6::text[]) AS ad (id, title, image, video, target, created)"
                  " ON CONFLICT DO NOTHING RETURNING id",
                  params, AD_FIELD_COUNT, &result, err))
        return error_wrap(err, "ads");
    *out_entered += PQntuples(result);
    return true;
}

bool target_find_events(struct target *target, const uint8_t (*ids)[EVENT_ID_SIZE], size_t count,
                        bool *out_known, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    AUTO(pg_array_free) struct pg_array array;
    struct pg_param param;

    pg_array_init(&array, OID_UUID);
    for (size_t i = 0; i < count; i++)
        pg_array_add_bytes(&array, ids[i], EVENT_ID_SIZE);
    /* Unnamed: planned with the ids in sight, it opens only their days. */
    if (!pg_array_param(&array, &param, err) ||
        !pg_query(target->pg, NULL,
                  "SELECT event_id FROM events WHERE event_id = ANY($1::uuid[]) ORDER BY event_id",
                  &param, 1, &result, err))
        return error_wrap(err, "events");
    for (size_t i = 0; i < count; i++) {
        char id[37];

        event_id_format(ids[i], id);
        out_known[i] = pg_rows_have(result, id);
    }
    return true;
}

bool target_read_positions(struct target *target, uint64_t out[TARGET_PARTITIONS_MAX],
                           struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    memset(out, 0, TARGET_PARTITIONS_MAX * sizeof(*out));
    if (!pg_query(target->pg, "positions", "SELECT partition, seq FROM positions", NULL, 0, &result,
                  err))
        return error_wrap(err, "positions");
    for (int i = 0; i < PQntuples(result); i++) {
        unsigned long partition = strtoul(PQgetvalue(result, i, 0), NULL, 10);

        if (partition < TARGET_PARTITIONS_MAX)
            out[partition] = strtoull(PQgetvalue(result, i, 1), NULL, 10);
    }
    return true;
}

bool target_read_ledger(struct target *target, const uint8_t gateway_id[16], int64_t since_at_ms,
                        struct target_ledger *out, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char id[37];
    char since[24];
    struct pg_param params[] = {{.value = id}, {.value = since}};

    event_id_format(gateway_id, id);
    snprintf(since, sizeof(since), "%" PRId64, since_at_ms);
    if (!pg_query(target->pg, NULL,
                  "SELECT count(*), coalesce(sum(stored), 0),"
                  " coalesce(sum(events - stored - dead), 0), coalesce(sum(dead), 0) FROM batches"
                  " WHERE gateway_id = $1::uuid AND sent_at >= to_timestamp($2::bigint / 1000.0)",
                  params, 2, &result, err))
        return error_wrap(err, "batches");
    out->batches = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    out->stored = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    out->duplicates = strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    out->dead = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
    return true;
}

static bool from_hex(const char *hex, uint8_t *out, size_t size)
{
    size_t got = 0;

    return sodium_hex2bin(out, size, hex, strlen(hex), NULL, &got, NULL) == 0 && got == size;
}

bool target_read_salts(struct target *target, target_salt_fn each, void *ctx, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    if (!pg_query(target->pg, NULL,
                  "SELECT day - date '1970-01-01', encode(salt, 'hex') FROM visitor_salts", NULL, 0,
                  &result, err))
        return error_wrap(err, "visitor_salts");
    for (int i = 0; i < PQntuples(result); i++) {
        uint8_t salt[VISITOR_SALT_SIZE];

        if (!from_hex(PQgetvalue(result, i, 1), salt, sizeof(salt)))
            return error_set(err, ERROR_INTERNAL, "visitor_salts: a salt has another length");
        each(ctx, strtoll(PQgetvalue(result, i, 0), NULL, 10), salt);
    }
    return true;
}

bool target_get_key(struct target *target, uint8_t out[TARGET_KEY_SIZE], struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char hex[KEY_HEX_SIZE];
    struct pg_param param = {.value = hex};

    randombytes_buf(out, TARGET_KEY_SIZE);
    (void)sodium_bin2hex(hex, sizeof(hex), out, TARGET_KEY_SIZE);
    if (!pg_query(target->pg, NULL,
                  "INSERT INTO deployment (name, value) VALUES ('import_visitor_key', $1)"
                  " ON CONFLICT DO NOTHING",
                  &param, 1, NULL, err) ||
        !pg_query(target->pg, NULL,
                  "SELECT value FROM deployment WHERE name = 'import_visitor_key'", NULL, 0,
                  &result, err))
        return error_wrap(err, "deployment");
    if (PQntuples(result) != 1 || !from_hex(PQgetvalue(result, 0, 0), out, TARGET_KEY_SIZE))
        return error_set(err, ERROR_INTERNAL, "deployment: import_visitor_key is unreadable");
    return true;
}

bool target_forget_key(struct target *target, bool *out_was_there, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    if (!pg_query(target->pg, NULL,
                  "DELETE FROM deployment WHERE name = 'import_visitor_key' RETURNING name", NULL,
                  0, &result, err))
        return error_wrap(err, "deployment");
    *out_was_there = PQntuples(result) > 0;
    return true;
}
