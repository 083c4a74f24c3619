#include "http/refuser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The members are those of every other problem; there is no request yet that it could be about. */
#define BODY                                                                                       \
    "{\"type\":\"/problems/overloaded\",\"title\":\"The service is at its limit\",\"status\":503," \
    "\"detail\":\"too many connections\",\"code\":\"overloaded\",\"errors\":[],"                   \
    "\"error\":\"too many connections\"}"

static const char format[] = "HTTP/1.1 503 Service Unavailable\r\n"
                             "Content-Type: application/problem+json\r\n"
                             "Content-Length: %zu\r\n"
                             "Retry-After: 1\r\n"
                             "Connection: close\r\n"
                             "\r\n" BODY;

static void take_reserve(struct refuser *self)
{
    if (self->reserve_fd < 0)
        self->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool refuser_open(struct refuser *self, struct error *err)
{
    self->reserve_fd = -1;
    take_reserve(self);
    return self->reserve_fd >= 0 ||
           error_set(err, ERROR_LIMIT, "http: no file descriptor to hold in reserve");
}

void refuser_close(struct refuser *self)
{
    if (self->reserve_fd >= 0)
        close(self->reserve_fd);
    self->reserve_fd = -1;
}

static int accept_next(int listen_fd)
{
    return accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

bool refuser_turn_away(struct refuser *self, int listen_fd)
{
    char request[REFUSED_READ_BYTES];
    char answer[sizeof(format) + 32];
    int fd = accept_next(listen_fd);
    int problem;

    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && self->reserve_fd >= 0) {
        refuser_close(self);
        fd = accept_next(listen_fd);
    }
    problem = errno;
    if (fd >= 0) {
        size_t size = (size_t)snprintf(answer, sizeof(answer), format, sizeof(BODY) - 1);

        /* What came already is read: closing over unread bytes would reset the connection, and the
         * answer with it. Whether the client hears it is its own affair. */
        (void)!recv(fd, request, sizeof(request), MSG_DONTWAIT);
        (void)!send(fd, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        close(fd);
    }
    take_reserve(self);
    errno = problem;
    return fd >= 0;
}
