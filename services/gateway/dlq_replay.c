/*
 * A replay, from its body to its answer:
 *
 *   dlq_replay  (loop)           which letters
 *   bring_back  (pool's thread)  in one transaction: lock the letters, give each its number in a
 *                                lane of its own, put them into the inbox, mark them
 *
 * The bytes never leave the database: a header made here goes before them there. A letter that was
 * replayed before is left out unless "again" says otherwise, so that a replay whose COMMIT was not
 * answered can be asked for again.
 */
#include "base/auto.h"
#include "dlq_handler.h"
#include "event/event_id.h"
#include "http/respond.h"
#include "inquiry.h"
#include "letter.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LETTERS_MAX = 1000, /* of one replay */
    LANES_MAX = 64,     /* as many as there may be partitions */
    NUMBER_SIZE = 24,
    OID_BYTEA = 17,
    OID_INT8 = 20,
};

struct chosen {
    int64_t id;
    uint32_t partition;
    bool is_replayed;
};

struct replay {
    struct inquiry inquiry; /* first: inquiry.h casts */
    int64_t ids[LETTERS_MAX];
    size_t id_count;
    char code[LETTER_CODE_SIZE]; /* instead of ids; "": ids */
    int64_t limit;
    bool is_again;
    /* the pool's thread's */
    struct chosen chosen[LETTERS_MAX];
    size_t chosen_count;
    uint8_t gateway_id[EVENT_ID_SIZE];
    struct letter_lane lanes[LANES_MAX];
    uint64_t next[LANES_MAX];
    size_t lane_count;
};

static const char by_ids_sql[] = "SELECT id, partition, replayed_at IS NOT NULL FROM dead_letters"
                                 " WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE";
static const char by_code_sql[] =
    "SELECT id, partition, replayed_at IS NOT NULL FROM dead_letters"
    " WHERE code = $1::text AND (replayed_at IS NULL OR $2::text::boolean)"
    " ORDER BY id LIMIT $3::text::bigint FOR UPDATE";
/* 1 gateway, 2 ids, 3 numbers, 4 headers. Whole messages have a header of their own. */
static const char put_sql[] =
    "WITH given AS ("
    "  SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS given (id, number, header)"
    "), put AS ("
    "  INSERT INTO inbox (gateway_id, thread, partition, batch_no, try, events, payload)"
    "  SELECT $1::text::uuid, 0, d.partition, given.number, 0,"
    "         CASE WHEN d.index >= 0 THEN 1 ELSE 0 END,"
    "         CASE WHEN d.index >= 0 THEN given.header || d.payload ELSE d.payload END"
    "  FROM given JOIN dead_letters d USING (id)"
    ") UPDATE dead_letters SET replayed_at = now() FROM given WHERE dead_letters.id = given.id";

static bool bring_back(struct inquiry *inquiry, struct pg *pg, struct error *err);

static const struct inquiry_kind kind = {.read = bring_back};

static struct replay *of(struct inquiry *inquiry)
{
    return H2O_STRUCT_FROM_MEMBER(struct replay, inquiry, inquiry);
}

static void take_ids(const json_t *ids, struct replay *out, struct faults *faults)
{
    if (!json_is_array(ids) || json_array_size(ids) == 0 || json_array_size(ids) > LETTERS_MAX) {
        fault_add(faults, FAULT_INVALID_TYPE, "ids", "must be a list of 1 to %d ids", LETTERS_MAX);
        return;
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_integer(id) || json_integer_value(id) < 1) {
            fault_add(faults, FAULT_INVALID_TYPE, "ids", "entry %zu is no id", i);
            return;
        }
        out->ids[out->id_count++] = json_integer_value(id);
    }
}

static void take_code(const json_t *code, const json_t *limit, struct replay *out,
                      struct faults *faults)
{
    size_t size = json_is_string(code) ? json_string_length(code) : 0;

    if (!json_is_string(code) || !letter_code_is_valid(json_string_value(code), size))
        fault_add(faults, FAULT_INVALID_TYPE, "code", "must be a code of dead letters");
    else
        memcpy(out->code, json_string_value(code), size + 1);
    out->limit = LETTERS_MAX;
    if (limit == NULL)
        return;
    out->limit = json_is_integer(limit) ? json_integer_value(limit) : 0;
    if (out->limit < 1 || out->limit > LETTERS_MAX)
        fault_add(faults, FAULT_INVALID_TYPE, "limit", "must be a number from 1 to %d",
                  LETTERS_MAX);
}

static void take_members(const json_t *root, struct replay *out, struct faults *faults)
{
    const json_t *ids = json_object_get(root, "ids");
    const json_t *code = json_object_get(root, "code");
    const json_t *again = json_object_get(root, "again");

    if (ids == NULL && code == NULL)
        fault_add(faults, FAULT_MISSING_FIELD, "ids", "give ids, or a code");
    else if (ids != NULL && code != NULL)
        fault_add(faults, FAULT_CONFLICTING_FIELDS, "ids", "ids and code exclude each other");
    else if (ids != NULL)
        take_ids(ids, out, faults);
    else
        take_code(code, json_object_get(root, "limit"), out, faults);
    if (again != NULL && !json_is_boolean(again))
        fault_add(faults, FAULT_INVALID_TYPE, "again", "must be true or false");
    out->is_again = json_is_true(again);
}

static void parse(h2o_req_t *req, struct replay *out, struct faults *faults)
{
    const h2o_iovec_t body =
        req->entity.base == NULL ? h2o_iovec_init(H2O_STRLIT("")) : req->entity;
    json_t *root = NULL;

    /* The rules of every other body: no key twice, and no deeper than they. */
    if (decode_depth(body.base, body.len) <= DECODE_DEPTH_MAX)
        root = json_loadb(body.base, body.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(root))
        take_members(root, out, faults);
    else
        fault_add(faults, FAULT_INVALID_JSON, "",
                  "the body must be a JSON object of at most %d levels", DECODE_DEPTH_MAX);
    json_decref(root);
}

void dlq_replay(h2o_req_t *req, const struct route_match *match)
{
    struct faults faults = {0};
    struct inquiry *inquiry = inquiry_new(req, sizeof(struct replay), &kind);

    (void)match;
    if (inquiry == NULL)
        return;
    parse(req, of(inquiry), &faults);
    if (faults.count > 0)
        inquiry_refuse(inquiry, &faults);
    else
        inquiry_start(inquiry);
}

static void take_rows(struct replay *self, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows) && self->chosen_count < LETTERS_MAX; i++)
        self->chosen[self->chosen_count++] = (struct chosen){
            .id = strtoll(PQgetvalue(rows, i, 0), NULL, 10),
            .partition = (uint32_t)strtoul(PQgetvalue(rows, i, 1), NULL, 10),
            .is_replayed = PQgetvalue(rows, i, 2)[0] == 't',
        };
}

static bool choose_by_ids(struct replay *self, struct pg *pg, PGresult **out, struct error *err)
{
    struct pg_array ids;
    struct pg_param param;
    bool is_done = false;

    pg_array_init(&ids, OID_INT8);
    for (size_t i = 0; i < self->id_count; i++)
        pg_array_add_int64(&ids, self->ids[i]);
    is_done = pg_array_param(&ids, &param, err) &&
              inquiry_query(&self->inquiry, pg, by_ids_sql, &param, 1, out, err);
    pg_array_free(&ids);
    return is_done;
}

static bool choose(struct replay *self, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char limit[NUMBER_SIZE];
    const struct pg_param params[] = {
        {.value = self->code}, {.value = self->is_again ? "t" : "f"}, {.value = limit}};

    (void)snprintf(limit, sizeof(limit), "%" PRId64, self->limit);
    if (self->code[0] != '\0'
            ? !inquiry_query(&self->inquiry, pg, by_code_sql, params, 3, &rows, err)
            : !choose_by_ids(self, pg, &rows, err))
        return false;
    take_rows(self, rows);
    return true;
}

static bool is_taken(const struct replay *self, const struct chosen *chosen)
{
    return self->is_again || !chosen->is_replayed;
}

/* The lane's place; LANES_MAX: there is no room for one more. */
static size_t lane_of(struct replay *self, uint32_t partition)
{
    size_t at = 0;

    while (at < self->lane_count && self->lanes[at].partition != partition)
        at++;
    if (at == self->lane_count && at < LANES_MAX) {
        memcpy(self->lanes[at].gateway_id, self->gateway_id, sizeof(self->gateway_id));
        self->lanes[at].partition = partition;
        self->lane_count++;
    }
    return at;
}

static bool count_lanes(struct replay *self, struct error *err)
{
    for (size_t i = 0; i < self->chosen_count; i++) {
        size_t lane = lane_of(self, self->chosen[i].partition);

        if (lane == LANES_MAX)
            return error_set(err, ERROR_INTERNAL, "dlq: over %d partitions", LANES_MAX);
        self->lanes[lane].count += is_taken(self, &self->chosen[i]);
    }
    return true;
}

struct put {
    struct pg_array ids, numbers, headers;
};

static void number_letters(struct replay *self, struct put *put)
{
    int64_t at_ms = clock_at_ms();

    for (size_t i = 0; i < self->chosen_count; i++) {
        size_t lane = lane_of(self, self->chosen[i].partition);
        uint8_t header[CODEC_HEADER_MAX];
        uint64_t number = 0;

        if (!is_taken(self, &self->chosen[i]))
            continue;
        number = ++self->next[lane];
        pg_array_add_int64(&put->ids, self->chosen[i].id);
        pg_array_add_int64(&put->numbers, (int64_t)number);
        pg_array_add_bytes(&put->headers, header,
                           letter_header(&self->lanes[lane], number, at_ms, header));
    }
}

static bool put_letters(struct replay *self, struct pg *pg, struct error *err)
{
    struct put put;
    struct pg_param params[4];
    char gateway_id[EVENT_ID_TEXT_SIZE];
    bool is_done = false;

    pg_array_init(&put.ids, OID_INT8);
    pg_array_init(&put.numbers, OID_INT8);
    pg_array_init(&put.headers, OID_BYTEA);
    number_letters(self, &put);
    event_id_format(self->gateway_id, gateway_id);
    params[0] = (struct pg_param){.value = gateway_id};
    is_done = pg_array_param(&put.ids, &params[1], err) &&
              pg_array_param(&put.numbers, &params[2], err) &&
              pg_array_param(&put.headers, &params[3], err) &&
              inquiry_query(&self->inquiry, pg, put_sql, params, 4, NULL, err);
    pg_array_free(&put.ids);
    pg_array_free(&put.numbers);
    pg_array_free(&put.headers);
    return is_done;
}

static const struct chosen *find_chosen(const struct replay *self, int64_t id)
{
    for (size_t i = 0; i < self->chosen_count; i++)
        if (self->chosen[i].id == id)
            return &self->chosen[i];
    return NULL;
}

static void render(struct replay *self)
{
    struct text *text = &self->inquiry.body;
    const char *before = "";
    uint64_t replayed = 0;

    for (size_t i = 0; i < self->lane_count; i++)
        replayed += self->lanes[i].count;
    text_addf(text, "{\"replayed\":%" PRIu64 ",\"skipped\":[", replayed);
    for (size_t i = 0; i < self->id_count; i++) {
        const struct chosen *chosen = find_chosen(self, self->ids[i]);

        if (chosen != NULL && is_taken(self, chosen))
            continue;
        text_addf(text, "%s{\"id\":%" PRId64 ",\"code\":\"%s\"}", before, self->ids[i],
                  chosen == NULL ? "unknown_letter" : "already_replayed");
        before = ",";
    }
    text_add_str(text, "]}");
    self->inquiry.status = 202;
}

static bool bring_back(struct inquiry *inquiry, struct pg *pg, struct error *err)
{
    struct replay *self = of(inquiry);

    event_id_make(clock_at_ms(), self->gateway_id);
    if (!inquiry_begin(inquiry, pg, "", err))
        return false;
    if (!choose(self, pg, err) || !count_lanes(self, err) || !put_letters(self, pg, err)) {
        inquiry_rollback(pg);
        return error_wrap(err, "dlq: replay");
    }
    if (!query_has_time(pg, inquiry->job.deadline_ms, err)) {
        inquiry_rollback(pg);
        return false;
    }
    if (!pg_commit(pg, err))
        return error_wrap(err, "dlq: replay");
    render(self);
    return true;
}
