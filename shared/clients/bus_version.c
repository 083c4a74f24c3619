#include "clients/bus_version.h"

#include "base/auto.h"
#include "clients/poll_wait.h"
#include "runtime/clock.h"

#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INFO_MAX = 32768, VERSION_MAJOR = 2, VERSION_MINOR = 10 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void free_json(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static void free_addresses(struct addrinfo **addresses)
{
    if (*addresses != NULL)
        freeaddrinfo(*addresses);
    *addresses = NULL;
}

bool bus_version_check_line(const char *line, size_t size_bytes, struct error *err)
{
    static const char mark[] = "INFO ";
    AUTO(free_json) json_t *info = NULL;
    const char *version;
    char *end;
    long major;
    long minor;

    if (size_bytes < sizeof(mark) || memcmp(line, mark, sizeof(mark) - 1) != 0)
        return error_set(err, ERROR_INTERNAL, "what answers there is no nats-server");
    info = json_loadb(line + sizeof(mark) - 1, size_bytes - sizeof(mark) + 1,
                      JSON_DISABLE_EOF_CHECK, NULL);
    version = json_string_value(json_object_get(info, "version"));
    if (version == NULL)
        return error_set(err, ERROR_INTERNAL, "nats-server does not tell its version");
    major = strtol(version, &end, 10);
    minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    if (major < VERSION_MAJOR || (major == VERSION_MAJOR && minor < VERSION_MINOR))
        return error_set(err, ERROR_INTERNAL,
                         "nats-server %.32s is too old: it cannot sync every write (%d.%d or "
                         "newer is needed)",
                         version, VERSION_MAJOR, VERSION_MINOR);
    return true;
}

/* A connection to the first address that takes one; -1: none. */
static int dial(const struct addrinfo *addresses, int64_t deadline_ms)
{
    for (const struct addrinfo *each = addresses; each != NULL; each = each->ai_next) {
        AUTO(close_fd)
        int fd = socket(each->ai_family, each->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int failure = 0;
        socklen_t size = sizeof(failure);

        if (fd < 0)
            continue;
        if (connect(fd, each->ai_addr, each->ai_addrlen) != 0 && errno != EINPROGRESS)
            continue;
        if (poll_wait(fd, POLLOUT, deadline_ms) &&
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0) {
            int taken = fd;

            fd = -1;
            return taken;
        }
    }
    return -1;
}

/* Reads up to the first line's end; 0: none came. */
static size_t read_line(int fd, char *line, size_t line_size, int64_t deadline_ms)
{
    size_t used = 0;

    while (used < line_size && poll_wait(fd, POLLIN, deadline_ms)) {
        ssize_t got = recv(fd, line + used, line_size - used, 0);

        if (got <= 0)
            return 0;
        used += (size_t)got;
        if (memchr(line, '\n', used) != NULL)
            return used;
    }
    return 0;
}

bool bus_version_check(const char *host, const char *port, int wait_ms, struct error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    AUTO(free_addresses) struct addrinfo *addresses = NULL;
    AUTO(auto_free) char *line = malloc(INFO_MAX);
    AUTO(close_fd) int fd = -1;
    size_t size;

    if (line == NULL)
        return error_set(err, ERROR_LIMIT, "no memory for the server's INFO");
    if (getaddrinfo(host, port, &hints, &addresses) != 0)
        return error_set(err, ERROR_UNAVAILABLE, "%s: no such host", host);
    fd = dial(addresses, deadline_ms);
    if (fd < 0)
        return error_set(err, ERROR_UNAVAILABLE, "%s:%s: cannot connect", host, port);
    size = read_line(fd, line, INFO_MAX, deadline_ms);
    if (size == 0)
        return error_set(err, ERROR_UNAVAILABLE, "%s:%s: no INFO within %d ms", host, port,
                         wait_ms);
    return bus_version_check_line(line, size, err);
}
