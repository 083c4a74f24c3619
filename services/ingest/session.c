#include "session.h"

#include "clients/pg.h"

#include <stdio.h>

bool session_ensure(struct session *session, struct pg *pg, struct error *err)
{
    char sql[160];

    /* The pid alone could be that of an earlier server's backend. */
    if (pg_is_connected(pg) && session->backend_pid == PQbackendPID(pg_raw(pg)))
        return true;
    if (!pg_connect(pg, err))
        return error_wrap(err, "session");
    snprintf(sql, sizeof(sql),
             "SET lock_timeout = %d; SET idle_in_transaction_session_timeout = %d;"
             " SET timezone = 'UTC'",
             session->lock_ms, session->idle_ms);
    if (!pg_script(pg, sql, err))
        return error_wrap(err, "session");
    session->backend_pid = PQbackendPID(pg_raw(pg));
    return true;
}
