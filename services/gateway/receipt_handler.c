/*
 * A receipt, from its id to its answer:
 *
 *   receipt_get   (loop)           the id, by ?timestamp= if it carries no time
 *   look_up       (pool's thread)  the row; else the dead letter; else the inbox
 *   ask_redis     (loop)           how far Redis has counted, when there is a row
 *   on_position   (loop)           the answer
 */
#include "receipt_handler.h"

#include "base/auto.h"
#include "base/time_text.h"
#include "event/buckets.h"
#include "event/codec.h"
#include "event/event_id.h"
#include "fresh_sql.h"
#include "gateway.h"
#include "http/query_string.h"
#include "http/request.h"
#include "http/respond.h"
#include "inquiry.h"
#include "query.h"
#include "redis_loop.h"
#include "row_json.h"
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL_MAX = 16 * 1024, NUMBER_SIZE = 24 };

struct receipt {
    struct inquiry inquiry; /* first: inquiry.h casts */
    uint8_t id[EVENT_ID_SIZE];
    char id_text[EVENT_ID_TEXT_SIZE];   /* as it is stored */
    char echo_text[EVENT_ID_TEXT_SIZE]; /* as it was asked for */
    uint32_t partitions;
    const char *status;
    bool is_stored;
    uint64_t seq; /* 0: not known */
    uint32_t partition;
    struct text tail; /* the members behind status and counted */
    struct redis_batch batch;
};

#define EVENT_AT    SQL_INSTANT("event_at")
#define RECEIVED_AT SQL_INSTANT("received_at")
#define STORED_AT   SQL_INSTANT("stored_at")
#define SENT_AT     SQL_INSTANT("sent_at")
#define DEAD_AT     SQL_INSTANT("dead_at")
#define REPLAYED_AT SQL_INSTANT("replayed_at")
#define KEPT_AT     SQL_INSTANT("kept_at")

static const char event_sql[] = "SELECT seq, ad_id, type, reason, " EVENT_AT ", " RECEIVED_AT
                                " FROM events WHERE event_id = $1::text::uuid";
static const char batch_sql[] =
    "SELECT " STORED_AT ", gateway_id, thread, partition, batch_no, seq, " SENT_AT
    " FROM batches WHERE partition = $1::text::integer AND seq = $2::text::bigint LIMIT 1";
static const char letter_sql[] =
    "SELECT ad_id, " RECEIVED_AT ", id, partition, seq, code, detail, " DEAD_AT ", " REPLAYED_AT
    " FROM dead_letters WHERE event_id = $1::text::uuid ORDER BY id DESC LIMIT 1";
/* The 16 bytes of an id stand in a batch as they are. */
static const char inbox_sql[] =
    "SELECT payload, " KEPT_AT ", gateway_id, thread, partition, batch_no"
    " FROM inbox WHERE position(uuid_send($1::text::uuid) IN payload) > 0 ORDER BY kept_at LIMIT 1";

static const struct row_field event_fields[] = {{"ad_id", ROW_TEXT},       {"type", ROW_TYPE},
                                                {"reason", ROW_REASON},    {"event_at", ROW_TEXT},
                                                {"received_at", ROW_TEXT}, {NULL, ROW_END}};
static const struct row_field batch_fields[] = {
    {"gateway_id", ROW_TEXT}, {"thread", ROW_NUMBER}, {"partition", ROW_NUMBER},
    {"batch_no", ROW_NUMBER}, {"seq", ROW_NUMBER},    {"sent_at", ROW_TEXT},
    {NULL, ROW_END}};
static const struct row_field letter_fields[] = {
    {"id", ROW_NUMBER},   {"partition", ROW_NUMBER}, {"seq", ROW_NUMBER},       {"code", ROW_TEXT},
    {"detail", ROW_TEXT}, {"dead_at", ROW_TEXT},     {"replayed_at", ROW_TEXT}, {NULL, ROW_END}};

static bool look_up(struct inquiry *inquiry, struct pg *pg, struct error *err);
static void settle(struct inquiry *inquiry);
static void free_tail(struct inquiry *inquiry);

static const struct inquiry_kind kind = {.read = look_up, .settle = settle, .free = free_tail};

static struct receipt *of(struct inquiry *inquiry)
{
    return H2O_STRUCT_FROM_MEMBER(struct receipt, inquiry, inquiry);
}

/* A fault's detail for an id without a time of its own, unless the timestamp makes one of it. */
static bool resolve_id(h2o_req_t *req, uint8_t id[EVENT_ID_SIZE], struct faults *faults)
{
    static const char *const names[] = {"timestamp", NULL};
    struct query_string query;
    const h2o_iovec_t text = request_query(req);
    int64_t at_ms = 0;
    int version = event_id_version(id);

    if (!query_string_parse(&query, names, text.base, text.len, faults))
        return false;
    if (!query_string_instant(&query, "timestamp", &at_ms, faults))
        return false;
    if (version == 7 || version == 8)
        return true;
    if (query_string_find(&query, "timestamp") == NULL) {
        fault_add(faults, FAULT_INVALID_PARAMETER, "timestamp",
                  "must be given as it was sent: this id carries no time");
        return false;
    }
    event_id_from_foreign(id, at_ms, id);
    return true;
}

void receipt_get(h2o_req_t *req, const struct route_match *match)
{
    struct faults faults = {0};
    uint8_t asked[EVENT_ID_SIZE];
    uint8_t id[EVENT_ID_SIZE];
    struct inquiry *inquiry = NULL;
    struct receipt *self = NULL;

    if (!event_id_parse(match->params[0].base, match->params[0].len, asked)) {
        respond_fault(req, FAULT_INVALID_EVENT_ID, "event_id", "must be a UUID");
        return;
    }
    memcpy(id, asked, sizeof(id));
    if (!resolve_id(req, id, &faults)) {
        respond_faults(req, &faults, 0);
        return;
    }
    inquiry = inquiry_new(req, sizeof(*self), &kind);
    if (inquiry == NULL)
        return;
    self = of(inquiry);
    memcpy(self->id, id, sizeof(id));
    event_id_format(id, self->id_text);
    event_id_format(asked, self->echo_text);
    self->partitions = (uint32_t)gateway_thread_of(req)->settings->partitions;
    text_init(&self->tail, TAIL_MAX);
    inquiry_start(inquiry);
}

static void free_tail(struct inquiry *inquiry)
{
    text_free(&of(inquiry)->tail);
}

/* The batch that brought the event, by its message on the stream. */
static bool read_batch(struct receipt *self, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char partition[NUMBER_SIZE];
    char seq[NUMBER_SIZE];
    const struct pg_param params[] = {{.value = partition}, {.value = seq}};

    (void)snprintf(partition, sizeof(partition), "%" PRIu32, self->partition);
    (void)snprintf(seq, sizeof(seq), "%" PRIu64, self->seq);
    if (!inquiry_query(&self->inquiry, pg, batch_sql, params, 2, &rows, err))
        return false;
    if (self->seq == 0 || PQntuples(rows) == 0) {
        text_add_str(&self->tail, ",\"stored_at\":null,\"batch\":null");
        return true;
    }
    text_add_char(&self->tail, ',');
    row_json_add(&self->tail, rows, 0, 0,
                 (const struct row_field[]){{"stored_at", ROW_TEXT}, {NULL, ROW_END}});
    text_add_str(&self->tail, ",\"batch\":{");
    row_json_add(&self->tail, rows, 0, 1, batch_fields);
    text_add_char(&self->tail, '}');
    return true;
}

static bool read_event(struct receipt *self, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    const struct pg_param param = {.value = self->id_text};

    if (!inquiry_query(&self->inquiry, pg, event_sql, &param, 1, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    self->is_stored = true;
    self->status = strcmp(PQgetvalue(rows, 0, 3), "0") == 0 ? "stored" : "invalid";
    self->seq = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
    self->partition =
        event_partition(PQgetvalue(rows, 0, 1), (size_t)PQgetlength(rows, 0, 1), self->partitions);
    text_add_char(&self->tail, ',');
    row_json_add(&self->tail, rows, 0, 1, event_fields);
    return read_batch(self, pg, err);
}

static bool read_letter(struct receipt *self, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    const struct pg_param param = {.value = self->id_text};

    if (!inquiry_query(&self->inquiry, pg, letter_sql, &param, 1, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    self->status = "dead";
    text_add_char(&self->tail, ',');
    row_json_add(&self->tail, rows, 0, 0,
                 (const struct row_field[]){
                     {"ad_id", ROW_TEXT}, {"received_at", ROW_TEXT}, {NULL, ROW_END}});
    text_add_str(&self->tail, ",\"dead_letter\":{");
    row_json_add(&self->tail, rows, 0, 2, letter_fields);
    text_add_char(&self->tail, '}');
    return true;
}

static bool note_kept(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct receipt *self = ctx;
    char event_at[TIME_TEXT_SIZE];
    char received_at[TIME_TEXT_SIZE];

    (void)index;
    (void)why;
    if (event == NULL || self->status != NULL || memcmp(event->id, self->id, sizeof(self->id)) != 0)
        return true;
    self->status = "accepted";
    time_text_format(event->event_at_ms, event_at);
    time_text_format(event->received_at_ms, received_at);
    text_addf(&self->tail,
              ",\"ad_id\":\"%s\",\"type\":\"%s\",\"event_at\":\"%s\",\"received_at\":\"%s\"",
              event->ad_id, event_type_names[event->type], event_at, received_at);
    return true;
}

static bool read_inbox(struct receipt *self, struct pg *pg, struct error *err)
{
    static const struct row_field fields[] = {{"gateway_id", ROW_TEXT},
                                              {"thread", ROW_NUMBER},
                                              {"partition", ROW_NUMBER},
                                              {"batch_no", ROW_NUMBER},
                                              {NULL, ROW_END}};
    AUTO(pg_result_clear) PGresult *rows = NULL;
    const struct pg_param param = {.value = self->id_text};
    struct codec_header header;
    struct error ignored;
    unsigned char *bytes = NULL;
    size_t size_bytes = 0;

    if (!inquiry_query(&self->inquiry, pg, inbox_sql, &param, 1, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    bytes = PQunescapeBytea((const unsigned char *)PQgetvalue(rows, 0, 0), &size_bytes);
    if (bytes == NULL)
        return error_set(err, ERROR_LIMIT, "receipt: no memory for a batch");
    if (!codec_read_batch(bytes, size_bytes, &header, note_kept, self, &ignored)) {
        self->status = NULL; /* nobody can read it: it will be a dead letter */
        text_reset(&self->tail);
    }
    PQfreemem(bytes);
    if (self->status == NULL)
        return true;
    text_add_str(&self->tail, ",\"kept_in\":\"inbox\",");
    row_json_add(&self->tail, rows, 0, 1,
                 (const struct row_field[]){{"kept_at", ROW_TEXT}, {NULL, ROW_END}});
    text_add_str(&self->tail, ",\"batch\":{");
    row_json_add(&self->tail, rows, 0, 2, fields);
    text_add_char(&self->tail, '}');
    return true;
}

/* What is not found may still be on its way: from when on is all that can be said. */
static bool tell_unknown(struct receipt *self, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char until[TIME_TEXT_SIZE];
    int64_t fresh_ms;

    if (!inquiry_query(&self->inquiry, pg, SQL_FRESH_MS, NULL, 0, &rows, err))
        return false;
    fresh_ms = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    time_text_format(fresh_ms, until);
    if (fresh_ms == 0)
        inquiry_fault(&self->inquiry, FAULT_UNKNOWN_EVENT, "event_id",
                      "not stored; one that was accepted may still be on its way");
    else
        inquiry_fault(&self->inquiry, FAULT_UNKNOWN_EVENT, "event_id",
                      "not stored until %s; a later one, or one that a spool keeps, may still come",
                      until);
    return true;
}

/*
 * In the order of an event's way back: one that leaves the inbox is on the stream before it is in
 * the table, so the row is looked for once more when nothing else was found.
 */
static bool look_up(struct inquiry *inquiry, struct pg *pg, struct error *err)
{
    struct receipt *self = of(inquiry);

    if (!read_event(self, pg, err))
        return false;
    if (self->status == NULL && !read_inbox(self, pg, err))
        return false;
    if (self->status == NULL && !read_letter(self, pg, err))
        return false;
    if (self->status == NULL && !read_event(self, pg, err))
        return false;
    return self->status != NULL || tell_unknown(self, pg, err);
}

/* The head comes last: it needs what Redis says. */
static void answer(struct receipt *self, const char *counted)
{
    struct inquiry *inquiry = &self->inquiry;

    text_addf(&inquiry->body, "{\"event_id\":\"%s\",\"status\":\"%s\",\"counted\":%s",
              self->echo_text, self->status, counted);
    text_add(&inquiry->body, text_str(&self->tail), self->tail.size);
    text_add_char(&inquiry->body, '}');
    if (!text_ok(&self->tail))
        inquiry_fault(inquiry, FAULT_INTERNAL, "", "the receipt could not be put together");
    inquiry_answer(inquiry);
}

/* "10+1500": message 10 is counted, and a part of message 11. */
static void on_position(void *ctx, redisReply *const *replies, size_t count,
                        const struct error *error)
{
    struct receipt *self = ctx;
    bool is_told = replies != NULL && count == 1 && replies[0]->type == REDIS_REPLY_STRING;

    (void)error;
    if (!is_told) {
        answer(self, "null"); /* Redis is down, or has lost its memory */
        return;
    }
    if (strtoull(replies[0]->str, NULL, 10) < self->seq) {
        answer(self, "false");
        return;
    }
    if (strcmp(self->status, "stored") == 0)
        self->status = "counted";
    answer(self, "true");
}

static void settle(struct inquiry *inquiry)
{
    struct receipt *self = of(inquiry);
    struct redis_loop *redis = redis_nodes_find(inquiry->query->redis, self->partition);
    char key[BUCKET_KEY_MAX];
    const char *argv[] = {"GET", key};
    size_t sizes[] = {3, 0};
    struct error err;

    if (!self->is_stored) {
        answer(self, "false");
        return;
    }
    if (self->seq == 0 || redis == NULL || !redis_loop_begin(redis, inquiry->query->now_ms, &err)) {
        answer(self, "null");
        return;
    }
    bucket_key_position(key, self->partition);
    sizes[1] = strlen(key);
    self->batch =
        (struct redis_batch){.done = on_position, .ctx = self, .partition = self->partition};
    (void)redis_loop_command(redis, 2, argv, sizes); /* the callback tells */
    redis_loop_commit(redis, &self->batch, inquiry->query->now_ms);
}
