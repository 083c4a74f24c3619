/*
 * refuser.h — turns away a connection that the server has no room for
 *
 * Why:     at its limit a server that stops accepting lets new clients hang in the kernel's queue,
 *          where they learn nothing. They get 503 with Retry-After, and the connection is closed.
 * Shape:   without a free descriptor nothing can be accepted, not even to be refused: one is held
 *          in reserve, given up for the moment of a refusal and taken again.
 * Errors:  refuser_turn_away says false when nobody waits, or another thread has taken the
 *          descriptor of the reserve for now.
 * Limits:  one connection a call; it never blocks. A client whose request is larger than
 *          REFUSED_READ_BYTES may see a reset instead of the answer.
 * Threads: a refuser belongs to one.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>

enum { REFUSED_READ_BYTES = 4096 };

struct refuser {
    int reserve_fd; /* -1: none */
};

MUST_CHECK bool refuser_open(struct refuser *self, struct error *err);
void refuser_close(struct refuser *self);

/* Takes the next connection from the queue of listen_fd, which must not block. False: errno says
 * why, as accept's does. */
bool refuser_turn_away(struct refuser *self, int listen_fd);
