/*
 * socket_hold.h — keeps a connection watched while its request waits for the stream
 *
 * Why:     h2o stops watching a socket while a request is answered late, which costs two epoll_ctl
 *          calls a request: 14 % of the CPU of a click. Watching on is cheaper, as a client seldom
 *          sends or closes in the few milliseconds of the wait.
 * Shape:   the request's strings lie in the socket's input buffer, which h2o moves when it reads.
 *          So the buffer is put aside for the wait and an empty one takes its place; what arrived
 *          meanwhile is joined to the old bytes afterwards, and the buffer that was put aside lives
 *          as long as the request.
 * Limits:  after the first bytes, or the client's close, the socket is not watched any more.
 * Memory:  embedded in what waits, which must live in the request's pool.
 */
#pragma once

#include <h2o.h>

struct socket_hold {
    h2o_socket_t *socket; /* NULL: not held */
    h2o_buffer_t *aside;  /* the request's bytes; NULL: the socket has them */
};

/* Only for HTTP/1 and once the request's body has been read; else it does nothing. */
void socket_hold_start(struct socket_hold *hold, h2o_req_t *req);

/* Call it right before the answer. */
void socket_hold_end(struct socket_hold *hold);

/* The request goes away: frees what was put aside. */
void socket_hold_free(struct socket_hold *hold);
