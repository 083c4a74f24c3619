/*
 * session.h — server-side limits of a connection, set again whenever it was made anew
 *
 * Why: our own deadlines give up on a statement; these make the server give up too. A process that
 *      is frozen inside its transaction would hold its position's lock for ever otherwise.
 */
#pragma once

#include "base/error.h"

struct pg;

struct session {
    int backend_pid; /* of the connection that has the limits; 0: none yet */
    int lock_ms;     /* lock_timeout */
    int idle_ms;     /* idle_in_transaction_session_timeout */
};

/* Connects when needed. Call it before a transaction, never inside. */
MUST_CHECK bool session_ensure(struct session *session, struct pg *pg, struct error *err);
