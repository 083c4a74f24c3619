#include "clients/pg_private.h"

#include "base/auto.h"
#include "clients/clients_metrics.h"
#include "clients/endpoint.h"
#include "clients/poll_wait.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A statement's way: ready -> prepare (once) -> send -> flush -> collect -> conclude. */
static bool ready(struct pg *pg, struct error *err);
static bool prepare(struct pg *pg, const char *name, const char *sql, const struct pg_param *params,
                    int param_count, struct error *err);
static bool send_query(struct pg *pg, const char *name, const char *sql,
                       const struct pg_param *params, int param_count);
static bool finish(struct pg *pg, enum error_kind when_lost, PGresult **out_result,
                   struct error *err);
static bool flush(struct pg *pg, int64_t deadline_ms);
static bool collect(struct pg *pg, int64_t deadline_ms, PGresult **out_result);
static bool conclude(struct pg *pg, const PGresult *result, enum error_kind when_lost,
                     struct error *err);
static bool judge(struct pg *pg, const PGresult *result, enum error_kind when_lost,
                  struct error *err);

enum { COPY_CHUNK_SIZE = 64 << 10 };

struct pg *pg_new(const struct pg_options *options)
{
    struct pg *pg = calloc(1, sizeof(*pg));

    if (pg == NULL)
        return NULL;
    pg->options = *options;
    guarded_init(&pg->guarded, options->guard);
    return pg;
}

void pg_close(struct pg **pg)
{
    if (*pg == NULL)
        return;
    pg_disconnect(*pg);
    free(*pg);
    *pg = NULL;
}

bool pg_connect(struct pg *pg, struct error *err)
{
    if (pg_is_connected(pg))
        return true;
    pg_connect_drop(pg);
    pg->sqlstate[0] = '\0';
    pg->is_given_up = false;
    guarded_note_reach(&pg->guarded, pg_connect_open(pg, err));
    return !pg->guarded.is_unreachable;
}

bool pg_is_connected(const struct pg *pg)
{
    return pg->connection != NULL && PQstatus(pg->connection) == CONNECTION_OK &&
           (pg->in_transaction || pg->version == endpoint_version(pg->options.endpoint));
}

void pg_disconnect(struct pg *pg)
{
    pg_connect_drop(pg);
    pg->in_transaction = false;
}

/* NOLINTNEXTLINE(readability-function-size): seven parts of a statement, none of them a luxury. */
static bool query(struct pg *pg, const char *name, const char *sql, const struct pg_param *params,
                  int param_count, PGresult **out_result, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    assert(param_count >= 0 && param_count <= PG_PARAMS_MAX);
    if (!ready(pg, err))
        return false;
    if (name != NULL && !prepare(pg, name, sql, params, param_count, err))
        return false;
    if (!send_query(pg, name, sql, params, param_count)) {
        (void)pg_error_of_connection(pg, ERROR_UNAVAILABLE, err);
        pg_connect_drop(pg);
        return false;
    }
    if (!finish(pg, ERROR_UNAVAILABLE, &result, err))
        return false;
    if (out_result != NULL)
        *out_result = TAKE(result);
    return true;
}

/* A frozen server answers nothing, not even the session's settings. */
static bool reach(void *ctx)
{
    struct error refusal = {0};

    return pg_connect(ctx, &refusal);
}

static bool enter(struct pg *pg, struct breaker_permit *out_permit, struct error *err)
{
    return guarded_ask(&pg->guarded, reach, pg, out_permit) ||
           error_set(err, ERROR_UNAVAILABLE, "pg: its breaker is open");
}

static bool leave(struct pg *pg, const struct breaker_permit *permit, bool is_done,
                  const struct error *err)
{
    guarded_tell(&pg->guarded, permit, pg_judge(pg, is_done, err));
    return is_done;
}

/* NOLINTNEXTLINE(readability-function-size): likewise */
bool pg_query(struct pg *pg, const char *name, const char *sql, const struct pg_param *params,
              int param_count, PGresult **out_result, struct error *err)
{
    struct breaker_permit permit = {0};

    return enter(pg, &permit, err) &&
           leave(pg, &permit, query(pg, name, sql, params, param_count, out_result, err), err);
}

/*
 * A connection lost in the middle of a transaction is not made again behind the caller's back: the
 * rest of its statements would be committed one by one.
 */
static bool ready(struct pg *pg, struct error *err)
{
    pg->sqlstate[0] = '\0';
    pg->is_given_up = false;
    if (pg->in_transaction && !pg_is_connected(pg))
        return error_set(err, ERROR_UNAVAILABLE, "pg: the connection was lost in a transaction");
    return pg_connect(pg, err);
}

static bool is_prepared(const struct pg *pg, const char *name)
{
    for (size_t i = 0; i < pg->prepared_count; i++) {
        if (strcmp(pg->prepared[i], name) == 0)
            return true;
    }
    return false;
}

static bool prepare(struct pg *pg, const char *name, const char *sql, const struct pg_param *params,
                    int param_count, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;
    AUTO(auto_free) char *copy = NULL;
    Oid types[PG_PARAMS_MAX];

    if (is_prepared(pg, name))
        return true;
    if (pg->prepared_count == PG_STATEMENTS_MAX)
        return error_set(err, ERROR_INTERNAL, "pg: more than %d statements", PG_STATEMENTS_MAX);
    copy = strdup(name);
    if (copy == NULL)
        return error_set(err, ERROR_LIMIT, "pg: no memory for a statement");
    for (int i = 0; i < param_count; i++)
        types[i] = params[i].type;
    if (PQsendPrepare(pg->connection, name, sql, param_count, types) == 0) {
        (void)pg_error_of_connection(pg, ERROR_UNAVAILABLE, err);
        pg_connect_drop(pg);
        return false;
    }
    if (!finish(pg, ERROR_UNAVAILABLE, &result, err))
        return false;
    pg->prepared[pg->prepared_count++] = TAKE(copy);
    return true;
}

static bool send_query(struct pg *pg, const char *name, const char *sql,
                       const struct pg_param *params, int param_count)
{
    const char *values[PG_PARAMS_MAX];
    int sizes[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    Oid types[PG_PARAMS_MAX];

    for (int i = 0; i < param_count; i++) {
        values[i] = params[i].value;
        sizes[i] = params[i].size_bytes;
        formats[i] = params[i].is_binary ? 1 : 0;
        types[i] = params[i].type;
    }
    if (name != NULL)
        return PQsendQueryPrepared(pg->connection, name, param_count, values, sizes, formats, 0);
    return PQsendQueryParams(pg->connection, sql, param_count, types, values, sizes, formats, 0);
}

/* Takes what was sent to its end within query_ms. */
static bool finish(struct pg *pg, enum error_kind when_lost, PGresult **out_result,
                   struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + pg->options.query_ms;
    AUTO(pg_result_clear) PGresult *result = NULL;

    if (flush(pg, deadline_ms))
        (void)collect(pg, deadline_ms, &result); /* result stays NULL when that fails */
    if (!conclude(pg, result, when_lost, err))
        return false;
    *out_result = TAKE(result);
    return true;
}

/* While we still write, the server may write too: not reading could stop both. */
static bool flush(struct pg *pg, int64_t deadline_ms)
{
    int left = PQflush(pg->connection);

    while (left > 0) {
        if (!pg_connect_wait(pg, POLLIN | POLLOUT, deadline_ms))
            return false;
        if (PQconsumeInput(pg->connection) == 0)
            return false;
        left = PQflush(pg->connection);
    }
    return left == 0;
}

static bool is_copy(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* False: the deadline has passed or the connection is lost. NULL in *out_result: there are no more.
 */
static bool next_result(struct pg *pg, int64_t deadline_ms, PGresult **out_result)
{
    while (PQisBusy(pg->connection) != 0) {
        if (!pg_connect_wait(pg, POLLIN, deadline_ms) || PQconsumeInput(pg->connection) == 0)
            return false;
    }
    *out_result = PQgetResult(pg->connection);
    return true;
}

/* Keeps the first failure, else the last result. COPY would go on for ever: it ends the collecting.
 */
static bool collect(struct pg *pg, int64_t deadline_ms, PGresult **out_result)
{
    AUTO(pg_result_clear) PGresult *kept = NULL;
    PGresult *next = NULL;

    do {
        if (!next_result(pg, deadline_ms, &next))
            return false;
        if (next != NULL && (kept == NULL || is_good(kept))) {
            PQclear(kept);
            kept = next;
        } else {
            PQclear(next);
        }
    } while (next != NULL && !is_copy(kept));
    *out_result = TAKE(kept);
    return *out_result != NULL;
}

/* The end of every statement; result NULL: no answer came, and the connection is dropped. */
static bool conclude(struct pg *pg, const PGresult *result, enum error_kind when_lost,
                     struct error *err)
{
    if (result != NULL && judge(pg, result, when_lost, err)) {
        clients_count_result(METRIC_pg_statements_total, ERROR_NONE);
        return true;
    }
    if (result == NULL && pg->is_given_up)
        error_set(err, when_lost, "pg: given up: its caller ends");
    else if (result == NULL && PQstatus(pg->connection) == CONNECTION_OK)
        error_set(err, when_lost, "pg: no answer within %d ms", pg->options.query_ms);
    else if (result == NULL)
        (void)pg_error_of_connection(pg, when_lost, err);
    if (result == NULL || !pg_is_connected(pg) || pg_error_ends_connection(pg->sqlstate))
        pg_connect_drop(pg);
    clients_count_result(METRIC_pg_statements_total, err->kind);
    return false;
}

static bool judge(struct pg *pg, const PGresult *result, enum error_kind when_lost,
                  struct error *err)
{
    if (is_good(result))
        return true;
    if (is_copy(result)) {
        pg_connect_drop(pg);
        return error_set(err, ERROR_INTERNAL,
                         "pg: COPY needs pg_copy, and goes to the server only");
    }
    return pg_error_of_result(pg, result, when_lost, err);
}

/* In pieces, so that libpq's buffer stays small; what the server says meanwhile waits in libpq. */
static bool put(struct pg *pg, const char *bytes, size_t size_bytes, int64_t deadline_ms)
{
    while (size_bytes > 0) {
        size_t piece = size_bytes < COPY_CHUNK_SIZE ? size_bytes : COPY_CHUNK_SIZE;

        if (PQputCopyData(pg->connection, bytes, (int)piece) != 1 || !flush(pg, deadline_ms))
            return false;
        bytes += piece;
        size_bytes -= piece;
    }
    return PQputCopyEnd(pg->connection, NULL) == 1 && flush(pg, deadline_ms);
}

bool pg_copy(struct pg *pg, const char *sql, const char *bytes, size_t size_bytes,
             struct error *err)
{
    int64_t deadline_ms = 0;
    AUTO(pg_result_clear) PGresult *begun = NULL;
    AUTO(pg_result_clear) PGresult *ended = NULL;

    if (!ready(pg, err))
        return false;
    deadline_ms = clock_now_ms() + pg->options.query_ms;
    if (PQsendQuery(pg->connection, sql) == 1 && flush(pg, deadline_ms))
        (void)collect(pg, deadline_ms, &begun);
    if (begun == NULL || PQresultStatus(begun) != PGRES_COPY_IN)
        return conclude(pg, begun, ERROR_UNAVAILABLE, err) &&
               error_set(err, ERROR_INTERNAL, "pg: no COPY FROM STDIN: %s", sql);
    if (put(pg, bytes, size_bytes, deadline_ms))
        (void)collect(pg, deadline_ms, &ended);
    return conclude(pg, ended, ERROR_UNAVAILABLE, err);
}

bool pg_run_script(struct pg *pg, const char *sql, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    if (PQsendQuery(pg->connection, sql) == 0) {
        (void)pg_error_of_connection(pg, ERROR_UNAVAILABLE, err);
        pg_connect_drop(pg);
        return false;
    }
    return finish(pg, ERROR_UNAVAILABLE, &result, err);
}

bool pg_script(struct pg *pg, const char *sql, struct error *err)
{
    struct breaker_permit permit = {0};

    return enter(pg, &permit, err) &&
           leave(pg, &permit, ready(pg, err) && pg_run_script(pg, sql, err), err);
}

bool pg_begin(struct pg *pg, const char *mode, struct error *err)
{
    char sql[128];

    if (pg->in_transaction)
        pg_rollback(pg);
    snprintf(sql, sizeof(sql), "BEGIN %s", mode);
    if (!pg_script(pg, sql, err))
        return false;
    pg->in_transaction = true;
    return true;
}

/*
 * From the moment COMMIT is sent only the server's own answer tells what became of it. A server
 * that stops (57P) or loses the connection (08, 40003) may have committed before it said so.
 */
bool pg_commit(struct pg *pg, struct error *err)
{
    AUTO(pg_result_clear) PGresult *result = NULL;

    assert(pg->in_transaction);
    if (!ready(pg, err)) {
        pg->in_transaction = false;
        return false;
    }
    pg->in_transaction = false;
    if (PQsendQuery(pg->connection, "COMMIT") == 0) {
        (void)pg_error_of_connection(pg, ERROR_UNCERTAIN, err);
        pg_connect_drop(pg);
        return false;
    }
    if (!finish(pg, ERROR_UNCERTAIN, &result, err)) {
        if (pg_error_ends_connection(pg->sqlstate) || strcmp(pg->sqlstate, "40003") == 0)
            err->kind = ERROR_UNCERTAIN;
        return false;
    }
    if (strcmp(PQcmdStatus(result), "COMMIT") != 0)
        return error_set(err, ERROR_UNAVAILABLE, "pg: the transaction had failed, rolled back");
    return true;
}

void pg_rollback(struct pg *pg)
{
    struct error ignored; /* a rollback that fails drops the connection, which is one, too */

    if (pg->in_transaction && pg_is_connected(pg) && !pg_run_script(pg, "ROLLBACK", &ignored))
        pg_connect_drop(pg);
    pg->in_transaction = false;
}

void pg_set_query_ms(struct pg *pg, int query_ms)
{
    pg->options.query_ms = query_ms;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

PGconn *pg_raw(struct pg *pg)
{
    return pg->connection;
}

void pg_result_clear(PGresult **result)
{
    PQclear(*result);
    *result = NULL;
}

/* Notifications carry no more than "look again": all that have come count as one. */
static bool take_notifies(PGconn *connection)
{
    bool came = false;
    PGnotify *notify = PQnotifies(connection);

    while (notify != NULL) {
        came = true;
        PQfreemem(notify);
        notify = PQnotifies(connection);
    }
    return came;
}

bool pg_wait_notify(struct pg *pg, int wait_ms, bool *out_came, struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    bool came;

    if (!pg_is_connected(pg))
        return error_set(err, ERROR_UNAVAILABLE, "pg: not connected, so nothing is listened to");
    came = take_notifies(pg->connection);
    while (!came && pg_connect_wait(pg, POLLIN, deadline_ms)) {
        if (PQconsumeInput(pg->connection) == 0) {
            (void)pg_error_of_connection(pg, ERROR_UNAVAILABLE, err);
            pg_connect_drop(pg);
            return false;
        }
        came = take_notifies(pg->connection);
    }
    *out_came = came;
    return true;
}
