#include "http/connections.h"

#include <stdbool.h>
#include <sys/socket.h>

static void end(h2o_req_t *req, int how)
{
    h2o_socket_t *socket = req->conn->callbacks->get_socket(req->conn);

    shutdown(h2o_socket_get_fd(socket), how); /* fails only when the peer has gone already */
}

static void for_each(h2o_context_t *context, int (*visit)(h2o_req_t *req, void *arg), void *arg)
{
    context->globalconf->http1.callbacks.foreach_request(context, visit, arg);
}

/* h2o counts a request's time from the first bytes, and binds it to a path once it is complete. */
static bool has_begun(const h2o_req_t *req)
{
    return req->timestamps.request_begin_at.tv_sec != 0;
}

static bool is_complete(const h2o_req_t *req)
{
    return req->pathconf != NULL;
}

/* The HTTP/1 connection reads this flag when it has sent the answer. */
static int end_if_idle(h2o_req_t *req, void *arg)
{
    (void)arg;
    if (has_begun(req))
        req->http1_is_persistent = 0;
    else
        end(req, SHUT_RD);
    return 0;
}

void connections_end_idle(h2o_context_t *context)
{
    for_each(context, end_if_idle, NULL);
}

static int end_if_slow(h2o_req_t *req, void *arg)
{
    const int64_t limit_at_ms = *(const int64_t *)arg;
    const struct timeval *begun = &req->timestamps.request_begin_at;

    if (has_begun(req) && !is_complete(req) &&
        (int64_t)begun->tv_sec * 1000 + begun->tv_usec / 1000 < limit_at_ms)
        end(req, SHUT_RDWR);
    return 0;
}

void connections_end_slow(h2o_context_t *context, int64_t begun_before_at_ms)
{
    for_each(context, end_if_slow, &begun_before_at_ms);
}

static int end_any(h2o_req_t *req, void *arg)
{
    (void)arg;
    end(req, SHUT_RDWR);
    return 0;
}

void connections_end_all(h2o_context_t *context)
{
    for_each(context, end_any, NULL);
}
