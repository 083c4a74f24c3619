/*
 * pg.h — PostgreSQL, never waiting longer than it was told
 *
 * Why:     PQexec on a frozen server hangs in spite of statement_timeout. Every call here sends
 *          without blocking, polls the socket with a deadline and then drops the connection. It
 *          does not call PQcancel, which would wait for the frozen server, too: a server that is
 *          merely slow stops an orphaned statement by itself (client_connection_check_interval).
 * Errors:  by SQLSTATE: 22, 21000 and 23 are ERROR_INVALID; 25006, 28, 3D, 42 and 23514 without a
 *          constraint's name (a missing partition) are ERROR_INTERNAL; everything else is
 *          ERROR_UNAVAILABLE. A connection lost while COMMIT is under way is ERROR_UNCERTAIN.
 *          pg_sqlstate tells the code of the last failure. While the guard's breaker is open:
 *          ERROR_UNAVAILABLE at once.
 * Limits:  128 named statements a connection, 64 parameters a statement. Only the look-up of the
 *          host's name is outside the deadlines: it is libpq's and blocks.
 * Hosts:   an endpoint may name several, for a primary that moves: they are tried in turn within
 *          connect_ms, first the one that was there last, each for its share of the time. Unless it
 *          has a target_session_attrs, the one that takes writes is meant.
 * Moves:   when its endpoint has another text, it connects there, but never inside a transaction;
 *          until then it counts as not connected.
 * Threads: one owner thread a struct pg. It reconnects by itself on the next call after a loss and
 *          prepares its statements again, but never inside a transaction: after a loss there every
 *          call fails until pg_rollback, pg_commit or pg_begin.
 */
#pragma once

#include "base/breaker.h"
#include "base/error.h"
#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct guard;
struct pg;

struct pg_options {
    struct endpoint *endpoint; /* URL or keyword form; borrowed until pg_close */
    const char *application;   /* "adledger ingest" */
    const char *session_sql;   /* run on every new connection; borrowed likewise, NULL: nothing */
    int connect_ms, query_ms;  /* deadlines */
    /*
     * Asked every PG_LOOK_MS of a wait; false ends it as its deadline would, so that a statement
     * of minutes does not hold up the process's end. NULL: only the deadline ends it.
     */
    bool (*on_wait)(void *ctx);
    void *ctx;
    /* Asked before every pg_query, pg_script and pg_begin; borrowed until pg_close, NULL: none. */
    struct guard *guard;
};

struct pg *pg_new(const struct pg_options *options); /* does not connect yet; NULL: no memory */
void pg_close(struct pg **pg);

/*
 * Drops a connection that the server has ended while nobody used it: whoever takes one up after a
 * rest asks for this first, or the first statement finds out. What was the session's own, a lock
 * or a LISTEN, is gone with it: pg_is_connected tells. Nothing is done within a transaction.
 */
void pg_drop_ended(struct pg *pg);
/* Connects now unless connected. */
MUST_CHECK bool pg_connect(struct pg *pg, struct error *err);
bool pg_is_connected(const struct pg *pg);
/* Drops the connection; a transaction in progress is gone with it. */
void pg_disconnect(struct pg *pg);

/* A parameter in text or binary; value NULL is SQL NULL. */
struct pg_param {
    const char *value;
    int size_bytes; /* binary only */
    bool is_binary;
    Oid type; /* 0: let the server infer */
};

/*
 * Runs one statement. With name, it is prepared on the connection the first time and executed by
 * name from then on; NULL runs it unnamed. out_result may be NULL; else the caller clears it with
 * PQclear (AUTO(pg_result_clear)). Results are in text unless is_binary_result.
 */
MUST_CHECK bool pg_query(struct pg *pg, const char *name, const char *sql,
                         const struct pg_param *params, int param_count, PGresult **out_result,
                         struct error *err);
/* Several statements in one simple-protocol string, no parameters: migrations. */
MUST_CHECK bool pg_script(struct pg *pg, const char *sql, struct error *err);

/*
 * Feeds bytes to a COPY ... FROM STDIN within the deadline of one statement. After a failure the
 * connection is what it would be after pg_query: usable when the server refused, else dropped.
 */
MUST_CHECK bool pg_copy(struct pg *pg, const char *sql, const char *bytes, size_t size_bytes,
                        struct error *err);

MUST_CHECK bool
pg_begin(struct pg *pg, const char *mode,
         struct error *err); /* mode "" or "ISOLATION LEVEL REPEATABLE READ READ ONLY" */
MUST_CHECK bool pg_commit(struct pg *pg, struct error *err); /* ERROR_UNCERTAIN when nobody knows */
void pg_rollback(struct pg *pg); /* best effort; drops the connection when even that fails */

void pg_set_query_ms(struct pg *pg, int query_ms);
const char *pg_sqlstate(const struct pg *pg); /* of the last failure; "" when it was no SQL error */
/* What the last call says of the server, for a breaker of the caller's own. */
enum breaker_result pg_judge(const struct pg *pg, bool is_done, const struct error *err);
/* Likewise of a pg_connect that failed. */
enum breaker_result pg_judge_connect(const struct pg *pg, const struct error *err);
PGconn *pg_raw(struct pg *pg); /* borrowed; for LISTEN */
void pg_result_clear(PGresult **result);
/* text is in column 0, whose rows the statement has sorted by bytes: COLLATE "C", or uuids. */
bool pg_rows_have(const PGresult *sorted, const char *text);

/* Waits up to wait_ms for a notification on a LISTENed channel; true: one came (it is consumed). */
MUST_CHECK bool pg_wait_notify(struct pg *pg, int wait_ms, bool *out_came, struct error *err);

/* Binary array parameters, built field by field for unnest($1::uuid[]). */
struct pg_array {
    char *bytes;
    size_t size, capacity;
    Oid element;
    int count;
    bool has_null;
    bool failed; /* no memory: checked once, by pg_array_param */
};
void pg_array_init(struct pg_array *array, Oid element);
void pg_array_reset(struct pg_array *array);
void pg_array_free(struct pg_array *array);
void pg_array_add_null(struct pg_array *array);
void pg_array_add_int16(struct pg_array *array, int16_t value);
void pg_array_add_int32(struct pg_array *array, int32_t value);
void pg_array_add_int64(struct pg_array *array, int64_t value);
void pg_array_add_bytes(struct pg_array *array, const void *bytes,
                        size_t size_bytes);                       /* text, bytea, uuid */
void pg_array_add_time_ms(struct pg_array *array, int64_t at_ms); /* timestamptz */
void pg_array_add_ip(struct pg_array *array, const uint8_t *bytes,
                     size_t size_bytes); /* inet; 0: NULL */
MUST_CHECK bool pg_array_param(struct pg_array *array, struct pg_param *out, struct error *err);

/*
 * The same bytes as rows for COPY ... FROM STDIN BINARY: a field of a row has the form of an
 * array's element, so between two rows the functions above add fields. One pg_array is one or the
 * other.
 */
void pg_array_add_row(struct pg_array *array, int16_t field_count);
/* Ends the rows; *out_bytes is a view. ERROR_LIMIT: no memory. */
MUST_CHECK bool pg_array_copy(struct pg_array *array, const char **out_bytes,
                              size_t *out_size_bytes, struct error *err);
