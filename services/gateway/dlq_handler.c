/*
 * A question about dead letters: dlq_x (loop) -> list, get or purge (pool's thread) -> the answer.
 * dlq_replay.c has the way back.
 */
#include "dlq_handler.h"

#include "base/auto.h"
#include "base/time_text.h"
#include "event/codec.h"
#include "event/event_id.h"
#include "http/query_string.h"
#include "http/request.h"
#include "http/respond.h"
#include "inquiry.h"
#include "letter.h"
#include "row_json.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, NUMBER_SIZE = 24, STATE_SIZE = 16 };

struct dlq {
    struct inquiry inquiry; /* first: inquiry.h casts */
    int64_t id;
    int64_t limit, cursor, partition; /* cursor, partition -1: not given */
    char code[LETTER_CODE_SIZE];      /* "": any */
    char state[STATE_SIZE];           /* "": any */
};

#define RECEIVED_AT SQL_INSTANT("received_at")
#define DEAD_AT     SQL_INSTANT("dead_at")
#define REPLAYED_AT SQL_INSTANT("replayed_at")
#define COLUMNS                                                                                    \
    "id, partition, seq, index, code, detail, event_id, ad_id, length(payload), " RECEIVED_AT      \
    ", " DEAD_AT ", " REPLAYED_AT

/* 1 limit, 2 cursor, 3 partition, 4 code, 5 state. */
static const char list_sql[] =
    "SELECT " COLUMNS " FROM dead_letters"
    " WHERE ($2::text IS NULL OR id < $2::text::bigint)"
    " AND ($3::text IS NULL OR partition = $3::text::integer)"
    " AND ($4::text IS NULL OR code = $4::text)"
    " AND ($5::text IS NULL OR (replayed_at IS NULL) = ($5::text = 'open'))"
    " ORDER BY id DESC LIMIT $1::text::bigint";
static const char get_sql[] =
    "SELECT " COLUMNS ", payload FROM dead_letters WHERE id = $1::text::bigint";
static const char purge_sql[] = "DELETE FROM dead_letters WHERE id = $1::text::bigint RETURNING id";

static const struct row_field fields[] = {{"id", ROW_NUMBER},
                                          {"partition", ROW_NUMBER},
                                          {"seq", ROW_NUMBER},
                                          {"index", ROW_NUMBER},
                                          {"code", ROW_TEXT},
                                          {"detail", ROW_TEXT},
                                          {"event_id", ROW_TEXT},
                                          {"ad_id", ROW_TEXT},
                                          {"size_bytes", ROW_NUMBER},
                                          {"received_at", ROW_TEXT},
                                          {"dead_at", ROW_TEXT},
                                          {"replayed_at", ROW_TEXT},
                                          {NULL, ROW_END}};
enum { INDEX_COLUMN = 3, PAYLOAD_COLUMN = 12 };

static bool list(struct inquiry *inquiry, struct pg *pg, struct error *err);
static bool get(struct inquiry *inquiry, struct pg *pg, struct error *err);
static bool purge(struct inquiry *inquiry, struct pg *pg, struct error *err);

static const struct inquiry_kind kind_list = {.read = list};
static const struct inquiry_kind kind_get = {.read = get};
static const struct inquiry_kind kind_purge = {.read = purge};

static struct dlq *of(struct inquiry *inquiry)
{
    return H2O_STRUCT_FROM_MEMBER(struct dlq, inquiry, inquiry);
}

static void parse_filters(const struct query_string *query, struct dlq *out, struct faults *faults)
{
    const char *code = query_string_find(query, "code");
    const char *state = query_string_find(query, "state");

    (void)query_string_int(query, "limit", 1, LIMIT_MAX, &out->limit, faults);
    (void)query_string_int(query, "cursor", 1, INT64_MAX, &out->cursor, faults);
    (void)query_string_int(query, "partition", 0, INT32_MAX, &out->partition, faults);
    if (code != NULL && !letter_code_is_valid(code, strlen(code)))
        fault_add(faults, FAULT_INVALID_PARAMETER, "code", "must be a code of dead letters");
    else if (code != NULL)
        (void)snprintf(out->code, sizeof(out->code), "%s", code);
    if (state != NULL && strcmp(state, "open") != 0 && strcmp(state, "replayed") != 0)
        fault_add(faults, FAULT_INVALID_PARAMETER, "state", "must be open or replayed");
    else if (state != NULL)
        (void)snprintf(out->state, sizeof(out->state), "%s", state);
}

void dlq_list(h2o_req_t *req, const struct route_match *match)
{
    static const char *const names[] = {"limit", "cursor", "partition", "code", "state", NULL};
    struct query_string query;
    struct faults faults = {0};
    struct dlq asked = {.limit = LIMIT_DEFAULT, .cursor = -1, .partition = -1};
    const h2o_iovec_t text = request_query(req);
    struct inquiry *inquiry = NULL;

    (void)match;
    if (query_string_parse(&query, names, text.base, text.len, &faults))
        parse_filters(&query, &asked, &faults);
    if (faults.count > 0) {
        respond_faults(req, &faults, 0);
        return;
    }
    inquiry = inquiry_new(req, sizeof(asked), &kind_list);
    if (inquiry == NULL)
        return;
    asked.inquiry = *inquiry;
    *of(inquiry) = asked;
    inquiry_start(inquiry);
}

static struct pg_param number_param(char text[NUMBER_SIZE], int64_t number)
{
    (void)snprintf(text, NUMBER_SIZE, "%" PRId64, number);
    return (struct pg_param){.value = number < 0 ? NULL : text};
}

static bool list(struct inquiry *inquiry, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    const struct dlq *self = of(inquiry);
    char numbers[3][NUMBER_SIZE];
    const struct pg_param params[] = {number_param(numbers[0], self->limit + 1),
                                      number_param(numbers[1], self->cursor),
                                      number_param(numbers[2], self->partition),
                                      {.value = self->code[0] == '\0' ? NULL : self->code},
                                      {.value = self->state[0] == '\0' ? NULL : self->state}};
    int count = 0;

    if (!inquiry_query(inquiry, pg, list_sql, params, 5, &rows, err))
        return false;
    count = PQntuples(rows) > self->limit ? (int)self->limit : PQntuples(rows);
    text_add_str(&inquiry->body, "{\"letters\":[");
    for (int i = 0; i < count; i++) {
        text_add_str(&inquiry->body, i == 0 ? "{" : ",{");
        row_json_add(&inquiry->body, rows, i, 0, fields);
        text_add_char(&inquiry->body, '}');
    }
    text_addf(&inquiry->body, "],\"count\":%d,\"next_cursor\":%s}", count,
              PQntuples(rows) > count ? PQgetvalue(rows, count - 1, 0) : "null");
    return true;
}

/* What is no number names no letter either. */
static void start_with_id(h2o_req_t *req, const struct route_match *match,
                          const struct inquiry_kind *kind)
{
    struct inquiry *inquiry = NULL;
    int64_t id = 0;

    if (!letter_id_parse(match->params[0].base, match->params[0].len, &id)) {
        respond_fault(req, FAULT_UNKNOWN_LETTER, "id", "there is no such dead letter");
        return;
    }
    inquiry = inquiry_new(req, sizeof(struct dlq), kind);
    if (inquiry == NULL)
        return;
    of(inquiry)->id = id;
    inquiry_start(inquiry);
}

void dlq_get(h2o_req_t *req, const struct route_match *match)
{
    start_with_id(req, match, &kind_get);
}

void dlq_delete(h2o_req_t *req, const struct route_match *match)
{
    start_with_id(req, match, &kind_purge);
}

static bool add_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct text *text = ctx;
    char id[EVENT_ID_TEXT_SIZE];
    char event_at[TIME_TEXT_SIZE];
    char received_at[TIME_TEXT_SIZE];

    (void)index;
    (void)why;
    if (event == NULL)
        return true;
    event_id_format(event->id, id);
    time_text_format(event->event_at_ms, event_at);
    time_text_format(event->received_at_ms, received_at);
    text_addf(text,
              "{\"event_id\":\"%s\",\"type\":\"%s\",\"ad_id\":\"%s\",\"event_at\":\"%s\","
              "\"received_at\":\"%s\",\"playback_time\":",
              id, event_type_names[event->type], event->ad_id, event_at, received_at);
    if (event->playback_ms == EVENT_PLAYBACK_ABSENT)
        text_add_str(text, "null}");
    else
        text_addf(text, "%" PRId64 ".%03" PRId64 "}", event->playback_ms / 1000,
                  event->playback_ms % 1000);
    return true;
}

/* The event as JSON, or null: the bytes are no event, or more than one. */
static void add_decoded(struct text *text, const uint8_t *bytes, size_t size_bytes, bool is_one)
{
    size_t before = text->size;
    struct error ignored;
    bool is_event = is_one && letter_read(bytes, size_bytes, add_event, text, &ignored);

    if (!is_event || text->size == before)
        text_add_str(text, "null");
}

static void add_base64(struct text *text, const uint8_t *bytes, size_t size_bytes)
{
    size_t size = sodium_base64_encoded_len(size_bytes, sodium_base64_VARIANT_ORIGINAL);
    AUTO(auto_free) char *base64 = malloc(size);

    if (base64 == NULL) {
        text->failed = true;
        return;
    }
    (void)sodium_bin2base64(base64, size, bytes, size_bytes, sodium_base64_VARIANT_ORIGINAL);
    text_addf(text, "\"%s\"", base64);
}

static bool get(struct inquiry *inquiry, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char id[NUMBER_SIZE];
    const struct pg_param param = number_param(id, of(inquiry)->id);
    unsigned char *bytes = NULL;
    size_t size_bytes = 0;

    if (!inquiry_query(inquiry, pg, get_sql, &param, 1, &rows, err))
        return false;
    if (PQntuples(rows) == 0) {
        inquiry_fault(inquiry, FAULT_UNKNOWN_LETTER, "id", "there is no such dead letter");
        return true;
    }
    bytes =
        PQunescapeBytea((const unsigned char *)PQgetvalue(rows, 0, PAYLOAD_COLUMN), &size_bytes);
    if (bytes == NULL)
        return error_set(err, ERROR_LIMIT, "dlq: no memory for a letter");
    text_add_char(&inquiry->body, '{');
    row_json_add(&inquiry->body, rows, 0, 0, fields);
    text_add_str(&inquiry->body, ",\"event\":");
    add_decoded(&inquiry->body, bytes, size_bytes, PQgetvalue(rows, 0, INDEX_COLUMN)[0] != '-');
    text_add_str(&inquiry->body, ",\"payload_base64\":");
    add_base64(&inquiry->body, bytes, size_bytes);
    text_add_char(&inquiry->body, '}');
    PQfreemem(bytes);
    return true;
}

static bool purge(struct inquiry *inquiry, struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *rows = NULL;
    char id[NUMBER_SIZE];
    const struct pg_param param = number_param(id, of(inquiry)->id);

    if (!inquiry_query(inquiry, pg, purge_sql, &param, 1, &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        inquiry_fault(inquiry, FAULT_UNKNOWN_LETTER, "id", "there is no such dead letter");
    inquiry->status = 204;
    return true;
}
