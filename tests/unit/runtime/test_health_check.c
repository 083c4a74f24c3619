/* The health check against a socket that answers as each test likes. */
#include "check.h"

#include "base/auto.h"
#include "runtime/clock.h"
#include "runtime/health_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Takes one connection and gives one answer; NULL: listens and never takes one. */
struct peer {
    int fd;
    int port;
    const char *answer;
    char request[200]; /* what was asked */
    pthread_t thread;
};

static void *serve(void *ctx)
{
    struct peer *peer = ctx;
    int fd = accept(peer->fd, NULL, NULL);

    if (fd >= 0) {
        if (recv(fd, peer->request, sizeof(peer->request) - 1, 0) > 0)
            (void)send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

static void peer_open(struct peer *peer, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);

    peer->answer = answer;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(peer->fd, 1), 0);
    assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&address, &size), 0);
    peer->port = ntohs(address.sin_port);
    if (answer != NULL)
        assert_int_equal(pthread_create(&peer->thread, NULL, serve, peer), 0);
}

static void peer_close(struct peer *peer)
{
    if (peer->answer != NULL)
        (void)pthread_join(peer->thread, NULL);
    (void)close(peer->fd);
}

TEST(a_ready_service_is_healthy)
{
    AUTO(peer_close) struct peer peer = {0};

    peer_open(&peer, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");

    assert_ok(health_check("0.0.0.0", peer.port, err));
    assert_non_null(strstr(peer.request, "GET /health/ready HTTP/1.1\r\n"));
}

TEST(a_service_that_is_not_ready_is_not_healthy)
{
    AUTO(peer_close) struct peer peer = {0};

    peer_open(&peer, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");

    assert_fails(ERROR_UNAVAILABLE, health_check("127.0.0.1", peer.port, err));
    assert_non_null(strstr(err->text, "503"));
}

TEST(half_an_answer_is_none)
{
    AUTO(peer_close) struct peer peer = {0};

    peer_open(&peer, "HTTP/1.1 20");

    assert_fails(ERROR_UNAVAILABLE, health_check("localhost", peer.port, err));
}

TEST(a_frozen_service_is_given_up)
{
    AUTO(peer_close) struct peer peer = {0};
    const int64_t began_ms = clock_now_ms();

    peer_open(&peer, NULL); /* the kernel takes the connection, nobody answers */

    assert_fails(ERROR_UNAVAILABLE, health_check("127.0.0.1", peer.port, err));
    assert_true(clock_now_ms() - began_ms < 3 * HEALTH_CHECK_WAIT_S * 1000 + 1000);
}

TEST(nobody_listening_is_not_healthy)
{
    struct peer peer = {0};

    peer_open(&peer, NULL);
    peer_close(&peer);

    assert_fails(ERROR_UNAVAILABLE, health_check("127.0.0.1", peer.port, err));
}

TEST(a_name_is_no_address)
{
    assert_fails(ERROR_INVALID, health_check("gateway", 8080, err));
}

TESTS(RUN(a_ready_service_is_healthy), RUN(a_service_that_is_not_ready_is_not_healthy),
      RUN(half_an_answer_is_none), RUN(a_frozen_service_is_given_up),
      RUN(nobody_listening_is_not_healthy), RUN(a_name_is_no_address))
