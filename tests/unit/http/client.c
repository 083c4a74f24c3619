#include "client.h"

#include "base/auto.h"
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client *client_open(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    AUTO(client_close) struct client *client = calloc(1, sizeof(*client));

    assert(client != NULL);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return NULL;
    return TAKE(client);
}

void client_close(struct client **client)
{
    if (*client == NULL)
        return;
    close((*client)->fd);
    free(*client);
    *client = NULL;
}

void client_send(struct client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

void client_send_bytes(struct client *client, const char *bytes, size_t size_bytes)
{
    while (size_bytes > 0) {
        const ssize_t sent = send(client->fd, bytes, size_bytes, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the server has closed: the test sees it when it reads */
        bytes += sent;
        size_bytes -= (size_t)sent;
    }
}

/* False: the end of the stream, or nothing in time. */
static bool receive(struct client *client)
{
    struct pollfd poller = {.fd = client->fd, .events = POLLIN};
    ssize_t size;

    if (poll(&poller, 1, CLIENT_WAIT_MS) != 1)
        return false;
    size = recv(client->fd, client->bytes + client->size, CLIENT_BUFFER_MAX - client->size, 0);
    if (size <= 0)
        return false;
    client->size += (size_t)size;
    client->bytes[client->size] = '\0';
    return true;
}

static void consume(struct client *client, size_t size_bytes)
{
    client->size -= size_bytes;
    memmove(client->bytes, client->bytes + size_bytes, client->size);
    client->bytes[client->size] = '\0';
}

const char *answer_header(const struct answer *answer, const char *name)
{
    static char value[1024];
    const size_t name_size = strlen(name);

    for (const char *line = strstr(answer->head, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, name_size) == 0 && line[2 + name_size] == ':') {
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + 4 + name_size, "\r"),
                     line + 4 + name_size);
            return value;
        }
    }
    return NULL;
}

static bool read_headers(struct client *client, struct answer *out)
{
    const char *end;

    while ((end = strstr(client->bytes, "\r\n\r\n")) == NULL) {
        if (!receive(client))
            return false;
    }

    const size_t size = (size_t)(end - client->bytes) + 4;

    assert(size < sizeof(out->head));
    memcpy(out->head, client->bytes, size);
    out->head[size] = '\0';
    out->status = (int)strtol(out->head + strlen("HTTP/1.1 "), NULL, 10);
    consume(client, size);
    return true;
}

void client_read_head(struct client *client, struct answer *out)
{
    memset(out, 0, sizeof(*out));
    read_headers(client, out);
}

void client_read(struct client *client, struct answer *out)
{
    const char *length;

    client_read_head(client, out);
    length = out->status == 0 ? NULL : answer_header(out, "Content-Length");
    if (length == NULL)
        return;
    out->body_size = (size_t)strtoull(length, NULL, 10);
    assert(out->body_size <= CLIENT_BUFFER_MAX);
    while (client->size < out->body_size) {
        if (!receive(client)) {
            out->status = 0;
            return;
        }
    }
    memcpy(out->body, client->bytes, out->body_size);
    out->body[out->body_size] = '\0';
    consume(client, out->body_size);
}

bool client_is_closed(struct client *client)
{
    struct pollfd poller = {.fd = client->fd, .events = POLLIN};
    char byte;

    return client->size == 0 && poll(&poller, 1, CLIENT_WAIT_MS) == 1 &&
           recv(client->fd, &byte, 1, MSG_PEEK) <= 0;
}

void client_ask(int port, const char *text, struct answer *out)
{
    AUTO(client_close) struct client *client = client_open(port);

    assert(client != NULL);
    client_send(client, text);
    client_read(client, out);
}

bool answer_has(const struct answer *answer, const char *text)
{
    return strstr(answer->body, text) != NULL;
}
