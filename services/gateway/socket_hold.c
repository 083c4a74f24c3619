#include "socket_hold.h"

#include <string.h>

/* The client sent more, or closed: h2o deals with it after the answer. */
static void on_early_bytes(h2o_socket_t *socket, const char *err)
{
    (void)err;
    h2o_socket_read_stop(socket);
}

void socket_hold_start(struct socket_hold *hold, h2o_req_t *req)
{
    const int http_1_1 = 0x101;
    h2o_socket_t *socket = NULL;

    *hold = (struct socket_hold){NULL, NULL};
    if (req->version > http_1_1 || req->conn->callbacks->get_socket == NULL)
        return;
    socket = req->conn->callbacks->get_socket(req->conn);
    if (socket == NULL || socket->ssl != NULL)
        return;
    hold->socket = socket;
    hold->aside = socket->input;
    h2o_buffer_init(&socket->input, &h2o_socket_buffer_prototype);
    h2o_socket_read_start(socket, on_early_bytes);
}

void socket_hold_end(struct socket_hold *hold)
{
    h2o_buffer_t *early;
    h2o_iovec_t room;

    if (hold->socket == NULL)
        return;
    early = hold->socket->input;
    if (early->size == 0) {
        hold->socket->input = hold->aside;
        hold->aside = NULL;
        h2o_buffer_dispose(&early);
    } else {
        h2o_buffer_init(&hold->socket->input, &h2o_socket_buffer_prototype);
        room = h2o_buffer_reserve(&hold->socket->input, hold->aside->size + early->size);
        memcpy(room.base, hold->aside->bytes, hold->aside->size);
        memcpy(room.base + hold->aside->size, early->bytes, early->size);
        hold->socket->input->size = hold->aside->size + early->size;
        h2o_buffer_dispose(&early);
    }
    hold->socket = NULL;
}

void socket_hold_free(struct socket_hold *hold)
{
    if (hold->aside != NULL)
        h2o_buffer_dispose(&hold->aside);
    hold->aside = NULL;
    hold->socket = NULL;
}
