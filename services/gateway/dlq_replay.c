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
#include "dlq_request.h"
#include "event/event_id.h"
#include "http/respond.h"
#include "inquiry.h"
#include "letter.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES_MAX = 64, /* as many as there may be partitions */
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
    struct dlq_request request;
    /* the pool's thread's */
    struct chosen chosen[DLQ_LETTERS_MAX];
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

void dlq_replay(h2o_req_t *req, const struct route_match *match)
{
    const h2o_iovec_t body =
        req->entity.base == NULL ? h2o_iovec_init(H2O_STRLIT("")) : req->entity;
    struct faults faults = {0};
    struct inquiry *inquiry = inquiry_new(req, sizeof(struct replay), &kind);

    (void)match;
    if (inquiry == NULL)
        return;
    if (!dlq_request_parse(body.base, body.len, &of(inquiry)->request, &faults))
        inquiry_refuse(inquiry, &faults);
    else
        inquiry_start(inquiry);
}

static void take_rows(struct replay *self, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows) && self->chosen_count < DLQ_LETTERS_MAX; i++)
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
    for (size_t i = 0; i < self->request.id_count; i++)
        pg_array_add_int64(&ids, self->request.ids[i]);
    is_done = pg_array_param(&ids, &param, err) &&
              inquiry_query(&self->inquiry, pg, by_ids_sql, &param, 1, out, err);
    pg_array_free(&ids);
    return is_done;
}

static bool choose(struct replay *self, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char limit[NUMBER_SIZE];
    const struct pg_param params[] = {{.value = self->request.code},
                                      {.value = self->request.is_again ? "t" : "f"},
                                      {.value = limit}};

    (void)snprintf(limit, sizeof(limit), "%" PRId64, self->request.limit);
    if (self->request.code[0] != '\0'
            ? !inquiry_query(&self->inquiry, pg, by_code_sql, params, 3, &rows, err)
            : !choose_by_ids(self, pg, &rows, err))
        return false;
    take_rows(self, rows);
    return true;
}

static bool is_taken(const struct replay *self, const struct chosen *chosen)
{
    return self->request.is_again || !chosen->is_replayed;
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
    for (size_t i = 0; i < self->request.id_count; i++) {
        const struct chosen *chosen = find_chosen(self, self->request.ids[i]);

        if (chosen != NULL && is_taken(self, chosen))
            continue;
        text_addf(text, "%s{\"id\":%" PRId64 ",\"code\":\"%s\"}", before, self->request.ids[i],
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
