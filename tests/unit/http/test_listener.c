#include "check.h"

#include "http/listener.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TEST(opens_several_sockets_on_a_port_that_it_claimed)
{
    int port = 0;
    int first, second;

    assert_ok(listener_claim("127.0.0.1", &port, err));
    assert_true(port > 0);
    first = listener_open("127.0.0.1", port, 1000, err);
    second = listener_open("127.0.0.1", port, 1000, err);

    assert_true(first >= 0 && second >= 0);
    close(first);
    close(second);
}

TEST(names_the_address_that_another_process_has)
{
    char expected[64];
    int port = 0;
    int fd;

    assert_ok(listener_claim("127.0.0.1", &port, err));
    fd = listener_open("127.0.0.1", port, 1000, err);
    assert_true(fd >= 0);

    assert_fails(ERROR_UNAVAILABLE, listener_claim("127.0.0.1", &port, err));
    snprintf(expected, sizeof(expected), "127.0.0.1:%d", port);
    assert_non_null(strstr(err->text, expected));
    assert_non_null(strstr(err->text, "in use"));
    close(fd);
}

TEST(refuses_a_host_that_is_no_address)
{
    int port = 0;

    assert_fails(ERROR_INVALID, listener_claim("256.0.0.1.invalid", &port, err));
}

TESTS(RUN(opens_several_sockets_on_a_port_that_it_claimed),
      RUN(names_the_address_that_another_process_has), RUN(refuses_a_host_that_is_no_address))
