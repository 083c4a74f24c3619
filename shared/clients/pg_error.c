#include "clients/guard.h"
#include "clients/pg_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { SQLSTATE_SIZE = 5 };

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

enum error_kind pg_error_kind(const char *sqlstate, bool has_constraint)
{
    static const struct {
        const char *prefix;
        enum error_kind kind;
    } rows[] = {
        {"22", ERROR_INVALID},    /* data exception */
        {"21000", ERROR_INVALID}, /* two equal keys in one upsert */
        {"23", ERROR_INVALID},    /* integrity; a missing partition is told apart below */
        {"25006", ERROR_INTERNAL}, {"28", ERROR_INTERNAL}, /* read-only; credentials */
        {"3D", ERROR_INTERNAL},    {"42", ERROR_INTERNAL}, /* no such database; SQL, rights */
    };

    if (strcmp(sqlstate, "23514") == 0 && !has_constraint)
        return ERROR_INTERNAL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (starts_with(sqlstate, rows[i].prefix))
            return rows[i].kind;
    }
    return ERROR_UNAVAILABLE;
}

/*
 * 08: connection, 57P: the server stops or starts, 26: a prepared statement that the server has
 * forgotten, 0A000: one whose result has changed its shape (a migration ran), 25006: a session that
 * may only read stays so after the database may be written again, or after another server took
 * over.
 */
bool pg_error_ends_connection(const char *sqlstate)
{
    return starts_with(sqlstate, "08") || starts_with(sqlstate, "57P") ||
           starts_with(sqlstate, "26") || starts_with(sqlstate, "0A000") ||
           starts_with(sqlstate, "25006");
}

/* The first line only: the others hold details such as the row's values. */
static int first_line_size(const char *text)
{
    return (int)strcspn(text, "\r\n");
}

static void remember(struct pg *pg, const char *sqlstate)
{
    snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%.*s", SQLSTATE_SIZE, sqlstate);
}

bool pg_error_of_result(struct pg *pg, const PGresult *result, enum error_kind without_state,
                        struct error *err)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);

    if (sqlstate == NULL || text == NULL)
        return pg_error_of_connection(pg, without_state, err);
    remember(pg, sqlstate);
    return error_set(err, pg_error_kind(sqlstate, constraint != NULL), "pg: %s: %.*s", sqlstate,
                     first_line_size(text), text);
}

/* "...failed: FATAL:  28P01: password authentication..." -> "28P01"; "" when there is none. */
static const char *find_sqlstate(const char *text)
{
    static const char mark[] = ":  ";
    const char *found = strstr(text, mark);

    if (found == NULL)
        return "";
    found += sizeof(mark) - 1;
    for (int i = 0; i < SQLSTATE_SIZE; i++) {
        if (!isupper((unsigned char)found[i]) && !isdigit((unsigned char)found[i]))
            return "";
    }
    return found[SQLSTATE_SIZE] == ':' ? found : "";
}

bool pg_error_of_connection(struct pg *pg, enum error_kind without_state, struct error *err)
{
    const char *text = PQerrorMessage(pg->connection);
    const char *sqlstate = find_sqlstate(text);
    enum error_kind kind = *sqlstate == '\0' ? without_state : pg_error_kind(sqlstate, false);

    remember(pg, sqlstate);
    if (*text == '\0')
        return error_set(err, kind, "pg: the connection was lost");
    return error_set(err, kind, "pg: %.*s", first_line_size(text), text);
}

enum breaker_result pg_judge(const struct pg *pg, bool is_done, const struct error *err)
{
    if (!is_done && err->kind == ERROR_INTERNAL &&
        pg_error_kind(pg_sqlstate(pg), false) == ERROR_INTERNAL)
        return BREAKER_CONFIGURATION;
    return guard_judge(is_done ? ERROR_NONE : err->kind);
}

enum breaker_result pg_judge_connect(const struct pg *pg, const struct error *err)
{
    return err->kind == ERROR_UNAVAILABLE ? BREAKER_CONNECT_FAILURE : pg_judge(pg, false, err);
}
