/*
 * client.h — a plain HTTP/1.1 client that shows every byte
 *
 * Shape:  one connection; requests are sent as they are written in the test.
 * Limits: CLIENT_WAIT_MS for anything to happen, CLIENT_BUFFER_MAX unread bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_WAIT_MS = 10 * 1000, CLIENT_BUFFER_MAX = 128 * 1024 };

struct client {
    int fd;
    size_t size;
    char bytes[CLIENT_BUFFER_MAX + 1];
};

struct answer {
    int status;      /* 0: the connection ended before an answer */
    char head[4096]; /* status line and headers, terminated */
    char body[CLIENT_BUFFER_MAX + 1];
    size_t body_size;
};

/* Connects to 127.0.0.1; NULL when it is refused. */
struct client *client_open(int port);
void client_close(struct client **client);

void client_send(struct client *client, const char *text);
void client_send_bytes(struct client *client, const char *bytes, size_t size_bytes);

/* The next answer; to HEAD it has no body whatever its Content-Length says. */
void client_read(struct client *client, struct answer *out);
void client_read_head(struct client *client, struct answer *out);

/* True once the server has closed; false after CLIENT_WAIT_MS, or when bytes come first. */
bool client_is_closed(struct client *client);

/* One request on a connection of its own. */
void client_ask(int port, const char *text, struct answer *out);

/* The value of a header, NULL without it; valid until the next call. */
const char *answer_header(const struct answer *answer, const char *name);
bool answer_has(const struct answer *answer, const char *text); /* the body contains it */
