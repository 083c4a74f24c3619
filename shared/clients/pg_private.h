/*
 * pg_private.h — what the pg_*.c files share; nobody else includes it
 */
#pragma once

#include "clients/guarded.h"
#include "clients/pg.h"

enum {
    PG_STATEMENTS_MAX = 128,
    PG_PARAMS_MAX = 64,
    PG_LOOK_MS = 200,
    PG_HOSTS_MAX = 8,
    PG_HOST_MAX = 256
};

struct pg {
    struct pg_options options;
    struct guarded guarded;
    PGconn *connection;                /* NULL: not connected */
    uint64_t version;                  /* of the endpoint, that the connection was made with */
    size_t host;                       /* of those that the endpoint names: the next to be tried */
    char *prepared[PG_STATEMENTS_MAX]; /* names that this connection knows; owned */
    size_t prepared_count;
    bool in_transaction; /* from pg_begin to its end; stays set when the connection is lost */
    bool is_given_up;    /* on_wait has ended the last wait */
    char sqlstate[6];    /* of the last failure */
};

/* pg_connect.c: makes the connection within connect_ms and sets its session up. */
MUST_CHECK bool pg_connect_open(struct pg *pg, struct error *err);
/*
 * pg_hosts.c: the hosts of an endpoint, one by one. Left to itself libpq stays with a host that
 * takes a connection and says nothing, until the deadline of them all.
 */
struct pg_hosts {
    PQconninfoOption *options;             /* owned; the lists are in it */
    const char *names, *addresses, *ports; /* with commas between; NULL: not given */
    bool has_target;                       /* of target_session_attrs */
    size_t count;                          /* 1 to PG_HOSTS_MAX */
};
void pg_hosts_read(const char *conninfo, struct pg_hosts *out);
void pg_hosts_free(struct pg_hosts *hosts);
/* False: nothing to say of that place. */
bool pg_hosts_pick(const char *list, size_t place, char out[PG_HOST_MAX]);

/* Closes the socket without waiting for anyone. */
void pg_connect_drop(struct pg *pg);

/* As poll_wait on the connection's socket; on_wait may end it early. */
bool pg_connect_wait(struct pg *pg, short events, int64_t deadline_ms);

/* pg.c: a string of statements on a connection that is there. */
MUST_CHECK bool pg_run_script(struct pg *pg, const char *sql, struct error *err);

/* pg_error.c: what a SQLSTATE asks for. */
enum error_kind pg_error_kind(const char *sqlstate, bool has_constraint);
/* The connection no longer serves: it is gone, or what it has prepared is void. */
bool pg_error_ends_connection(const char *sqlstate);
/* Fill err and pg->sqlstate; return false. Without a SQLSTATE the kind is without_state. */
bool pg_error_of_result(struct pg *pg, const PGresult *result, enum error_kind without_state,
                        struct error *err);
bool pg_error_of_connection(struct pg *pg, enum error_kind without_state, struct error *err);
