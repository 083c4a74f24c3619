#include "http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

struct address {
    struct sockaddr_storage bytes;
    socklen_t size;
    char text[LISTENER_TEXT_MAX]; /* host:port, for messages */
};

/* Addresses only, and "localhost": a name would have to be asked for, and that has no deadline. */
static bool resolve(const char *host, int port, struct address *out, struct error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    int status;

    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    snprintf(service, sizeof(service), "%d", port);
    snprintf(out->text, sizeof(out->text), strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host,
             port);
    status = getaddrinfo(host, service, &hints, &found);
    if (status != 0)
        return error_set(err, ERROR_INVALID, "http: listen on %s: %s", out->text,
                         gai_strerror(status));
    memcpy(&out->bytes, found->ai_addr, found->ai_addrlen);
    out->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool fail(int fd, const struct address *address, struct error *err)
{
    const int reason = errno;

    if (fd >= 0)
        close(fd);
    if (reason == EADDRINUSE)
        return error_set(err, ERROR_UNAVAILABLE,
                         "http: listen on %s: the address is in use by another process",
                         address->text);
    return error_set(err, ERROR_UNAVAILABLE, "http: listen on %s: %s", address->text,
                     strerrordesc_np(reason));
}

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static int open_socket(const struct address *address)
{
    const int family = address->bytes.ss_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (!set(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        (family == AF_INET6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Both families keep the port at the same place. */
static int port_of(int fd)
{
    struct sockaddr_in6 address = {.sin6_port = 0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.sin6_port);
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
               "port_of reads either");

bool listener_claim(const char *host, int *port, struct error *err)
{
    struct address address = {0};
    int fd;

    if (!resolve(host, *port, &address, err))
        return false;
    fd = open_socket(&address);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address.bytes, address.size) != 0)
        return fail(fd, &address, err);
    *port = port_of(fd);
    close(fd);
    return true;
}

int listener_open(const char *host, int port, int user_timeout_ms, struct error *err)
{
    struct address address = {0};
    int fd;

    if (!resolve(host, port, &address, err))
        return -1;
    fd = open_socket(&address);
    if (fd < 0 || !set(fd, SOL_SOCKET, SO_REUSEPORT, 1) || !set(fd, IPPROTO_TCP, TCP_NODELAY, 1) ||
        !set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms) ||
        bind(fd, (const struct sockaddr *)&address.bytes, address.size) != 0 ||
        listen(fd, BACKLOG) != 0) {
        fail(fd, &address, err);
        return -1;
    }
    return fd;
}
