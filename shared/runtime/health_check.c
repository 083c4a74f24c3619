#include "runtime/health_check.h"

#include "base/auto.h"
#include "runtime/auto_file.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool resolve(const char *host, int port, struct addrinfo **out, struct error *err);
static bool ask(int fd, const struct addrinfo *peer, struct error *err);
static bool read_status(int fd, struct error *err);

static void free_address(struct addrinfo **address)
{
    if (*address != NULL)
        freeaddrinfo(*address);
    *address = NULL;
}

bool health_check(const char *host, int port, struct error *err)
{
    AUTO(free_address) struct addrinfo *peer = NULL;

    if (!resolve(host, port, &peer, err))
        return false;
    AUTO(auto_close_fd) int fd = socket(peer->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_set(err, ERROR_UNAVAILABLE, "health: socket: %s", strerrordesc_np(errno));
    return ask(fd, peer, err) && read_status(fd, err);
}

/* Addresses only, as the listener takes them: a name server could keep us waiting. */
static bool resolve(const char *host, int port, struct addrinfo **out, struct error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    char service[8];
    int status;

    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    (void)snprintf(service, sizeof(service), "%d", port);
    status = getaddrinfo(host, service, &hints, out);
    return status == 0 ||
           error_set(err, ERROR_INVALID, "health: %s: %s", host, gai_strerror(status));
}

/* The send timeout bounds connect, too. */
static bool ask(int fd, const struct addrinfo *peer, struct error *err)
{
    static const char request[] = "GET /health/ready HTTP/1.1\r\n"
                                  "Host: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    const struct timeval wait = {.tv_sec = HEALTH_CHECK_WAIT_S};

    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
        connect(fd, peer->ai_addr, peer->ai_addrlen) != 0 ||
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof(request) - 1))
        return error_set(err, ERROR_UNAVAILABLE, "health: not reachable: %s",
                         strerrordesc_np(errno));
    return true;
}

static bool read_status(int fd, struct error *err)
{
    char line[] = "HTTP/1.1 ...";
    const size_t size = sizeof(line) - 1;

    if (recv(fd, line, size, MSG_WAITALL) != (ssize_t)size)
        return error_set(err, ERROR_UNAVAILABLE, "health: no answer in %d s",
                         (int)HEALTH_CHECK_WAIT_S);
    if (strcmp(line, "HTTP/1.1 200") != 0)
        return error_set(err, ERROR_UNAVAILABLE, "health: not ready: status %.3s", line + size - 3);
    return true;
}
