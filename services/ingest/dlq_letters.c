#include "dlq_letters.h"

#include "base/auto.h"
#include "base/text.h"
#include "clients/bus.h"
#include "clients/js_api.h"
#include "clients/pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OID_INT8 = 20,
    BODY_MAX = 512,
    SUBJECT_MAX = 48,
    LETTER_MAX = 128 << 20, /* what protobuf and base64 make of the largest message there can be */
    HEADERS_MAX = 256,      /* what the server counts besides */
};

#define DEDUP_WINDOW_NS INT64_C(120000000000)

/* A count over the partial index, cut off where the exact number says no more. */
static const char sql_count[] =
    "SELECT count(*) FROM (SELECT FROM dead_letters WHERE published_at IS NULL LIMIT $1::int) few";

/* (1633971303, n): advisory locks of this database that are ours; partitions.c has the others. */
static const char sql_lock[] = "SELECT pg_try_advisory_lock(1633971303, 4)";
static const char sql_unlock[] = "SELECT pg_advisory_unlock(1633971303, 4)";

#define INSTANT(column_)                                                                           \
    "to_char(" column_ " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

/* The message without its payload is made by the server, which quotes whatever text there is. */
static const char sql_page[] =
    "SELECT id, partition, json_build_object('id', id, 'partition', partition, 'seq', seq,"
    " 'index', index, 'code', code, 'detail', detail, 'event_id', event_id, 'ad_id', ad_id,"
    " 'received_at', " INSTANT("received_at") ", 'dead_at', " INSTANT(
        "dead_at") "), replace(encode(payload, 'base64'), E'\\n', '')"
                   " FROM dead_letters WHERE published_at IS NULL ORDER BY id LIMIT $1::int";
static const char sql_mark[] = "UPDATE dead_letters SET published_at = now()"
                               " WHERE id = ANY($1::int8[]) AND published_at IS NULL";

enum column { COLUMN_ID, COLUMN_PARTITION, COLUMN_FIELDS, COLUMN_PAYLOAD };

/* The round, top to bottom; the definitions follow in this order. */
static bool count_untold(struct pg *pg, size_t *out_count, struct error *err);
static bool ensure_stream(struct dlq_round *round, struct bus *bus, struct error *err);
static bool tell_page(struct dlq_round *round, struct pg *pg, struct bus *bus, size_t *out_rows,
                      struct error *err);
static bool publish(struct dlq_round *round, struct bus *bus, const PGresult *page, int row,
                    struct error *err);
static bool mark(struct pg *pg, struct pg_array *told, struct error *err);

static bool tell_all(struct dlq_round *round, struct pg *pg, struct bus *bus, struct error *err)
{
    size_t rows = DLQ_PAGE;

    if (!ensure_stream(round, bus, err))
        return false;
    while (rows == DLQ_PAGE && round->is_running(round->ctx))
        if (!tell_page(round, pg, bus, &rows, err))
            return false;
    return count_untold(pg, &round->unpublished, err);
}

bool dlq_letters_tell(struct dlq_round *round, struct pg *pg, struct bus *bus, struct error *err)
{
    AUTO(pg_result_clear) PGresult *locked = NULL;
    struct error unlock = {0};
    bool is_done = true;

    round->told = 0;
    round->cut = 0;
    if (!count_untold(pg, &round->unpublished, err))
        return error_wrap(err, "dlq");
    if (round->unpublished == 0)
        return true;
    if (!pg_query(pg, NULL, sql_lock, NULL, 0, &locked, err))
        return error_wrap(err, "dlq");
    if (PQgetvalue(locked, 0, 0)[0] != 't')
        return true; /* another process is at it */
    is_done = tell_all(round, pg, bus, err);
    /* The lock goes with the connection at the latest. */
    if (!pg_query(pg, NULL, sql_unlock, NULL, 0, NULL, &unlock))
        pg_disconnect(pg);
    return is_done || error_wrap(err, "dlq");
}

static bool count_untold(struct pg *pg, size_t *out_count, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    char most[12];
    struct pg_param param = {.value = most};

    snprintf(most, sizeof(most), "%d", DLQ_COUNTED_MAX);
    if (!pg_query(pg, "dlq_count", sql_count, &param, 1, &result, err))
        return false;
    *out_count = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

static bool ensure_stream(struct dlq_round *round, struct bus *bus, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer info = {0};
    AUTO(js_api_free) struct js_api_answer made = {0};
    struct error missing;
    char body[BODY_MAX];

    if (round->is_stream_there)
        return true;
    if (js_api_request(bus, "STREAM.INFO." DLQ_STREAM, "", bus_request_ms(bus), &info, &missing)) {
        round->is_stream_there = true;
        return true;
    }
    if (missing.kind != ERROR_INVALID) {
        *err = missing;
        return false;
    }
    snprintf(body, sizeof(body),
             "{\"name\":\"" DLQ_STREAM "\",\"subjects\":[\"" DLQ_SUBJECT "*\"],"
             "\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"old\","
             "\"max_consumers\":-1,\"max_msgs\":-1,\"max_msg_size\":-1,\"max_age\":0,"
             "\"max_bytes\":%" PRId64 ",\"duplicate_window\":%" PRId64 ",\"num_replicas\":%d}",
             round->max_bytes, DEDUP_WINDOW_NS, round->replicas);
    if (!js_api_request(bus, "STREAM.CREATE." DLQ_STREAM, body, bus_request_ms(bus), &made, err) &&
        made.code != JS_API_STREAM_NAME_IN_USE)
        return false;
    round->is_stream_there = true;
    return true;
}

/* What the stream took is marked, whatever became of the rest. */
static bool tell_page(struct dlq_round *round, struct pg *pg, struct bus *bus, size_t *out_rows,
                      struct error *err)
{
    AUTO(pg_result_clear) PGresult *page = NULL;
    AUTO(pg_array_free) struct pg_array told = {0};
    char most[12];
    struct pg_param param = {.value = most};
    struct error refusal;
    bool is_told = true;

    pg_array_init(&told, OID_INT8);
    snprintf(most, sizeof(most), "%d", DLQ_PAGE);
    if (!pg_query(pg, "dlq_page", sql_page, &param, 1, &page, err))
        return false;
    *out_rows = (size_t)PQntuples(page);
    for (int row = 0; row < PQntuples(page) && round->is_running(round->ctx) && is_told; row++) {
        is_told = publish(round, bus, page, row, &refusal);
        if (is_told)
            pg_array_add_int64(&told, strtoll(PQgetvalue(page, row, COLUMN_ID), NULL, 10));
    }
    if (told.count > 0 && !mark(pg, &told, err))
        return false;
    round->told += (size_t)told.count;
    if (!is_told)
        *err = refusal;
    return is_told;
}

bool dlq_letters_format(struct text *out, const char *fields, const char *payload_base64,
                        size_t max_bytes)
{
    static const char end[] = "\"}";
    size_t fields_size = strlen(fields) - 1; /* without the closing brace */
    size_t payload_size = strlen(payload_base64);
    bool is_whole = fields_size + payload_size + sizeof(", \"payload\" : \"\"}") <= max_bytes;

    text_reset(out);
    text_add(out, fields, fields_size);
    if (is_whole) {
        text_add_str(out, ", \"payload\" : \"");
        text_add(out, payload_base64, payload_size);
        text_add(out, end, sizeof(end) - 1);
    } else {
        text_addf(out, ", \"payload\" : null, \"payload_base64_size\" : %zu}", payload_size);
    }
    return is_whole;
}

/* Without an ack, which a frozen server never gives, the letter stays untold. */
static bool await_ack(struct bus *bus, const char *subject, const char *id, const struct text *body,
                      struct error *err)
{
    struct js_api_ack ack;
    jsPubOptions options;

    jsPubOptions_Init(&options);
    options.MsgId = id;
    options.ExpectStream = DLQ_STREAM;
    return js_api_publish(bus, subject, text_str(body), &options, &ack, err);
}

static bool publish(struct dlq_round *round, struct bus *bus, const PGresult *page, int row,
                    struct error *err)
{
    AUTO(text_free) struct text body;
    int64_t max_bytes = natsConnection_GetMaxPayload(bus_connection(bus)) - HEADERS_MAX;
    char subject[SUBJECT_MAX];
    char id[SUBJECT_MAX];
    bool is_whole = false;

    if (!bus_is_connected(bus) || max_bytes <= 0)
        return error_set(err, ERROR_UNAVAILABLE, "nats: " DLQ_STREAM ": not connected");
    text_init(&body, LETTER_MAX);
    is_whole = dlq_letters_format(&body, PQgetvalue(page, row, COLUMN_FIELDS),
                                  PQgetvalue(page, row, COLUMN_PAYLOAD), (size_t)max_bytes);
    if (!text_ok(&body))
        return error_set(err, ERROR_LIMIT, "no memory for a dead letter");
    snprintf(subject, sizeof(subject), DLQ_SUBJECT "%s", PQgetvalue(page, row, COLUMN_PARTITION));
    snprintf(id, sizeof(id), "dlq.%s", PQgetvalue(page, row, COLUMN_ID));
    if (!await_ack(bus, subject, id, &body, err)) {
        round->is_stream_there = false; /* it may have been deleted */
        return false;
    }
    round->cut += !is_whole;
    return true;
}

static bool mark(struct pg *pg, struct pg_array *told, struct error *err)
{
    struct pg_param param;

    return pg_array_param(told, &param, err) &&
           pg_query(pg, "dlq_mark", sql_mark, &param, 1, NULL, err);
}
