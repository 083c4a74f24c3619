#include "check.h"
#include "clients/bus_version.h"

#include <string.h>

static bool check(const char *line, struct error *err)
{
    return bus_version_check_line(line, strlen(line), err);
}

TEST(a_server_that_can_sync_is_taken)
{
    assert_ok(check("INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"port\":4222}\r\n", err));
    assert_ok(check("INFO {\"version\":\"2.10.27\"} \r\nPING\r\n", err));
    assert_ok(check("INFO {\"version\":\"2.12.1-beta.1\"}\r\n", err));
    assert_ok(check("INFO {\"version\":\"3.0.0\"}\r\n", err));
}

TEST(an_older_one_is_refused_by_its_version)
{
    assert_fails(ERROR_INTERNAL, check("INFO {\"version\":\"2.9.10\"}\r\n", err));
    assert_string_equal(err->text, "nats-server 2.9.10 is too old: it cannot sync every write "
                                   "(2.10 or newer is needed)");
    assert_fails(ERROR_INTERNAL, check("INFO {\"version\":\"1.99.0\"}\r\n", err));
    assert_fails(ERROR_INTERNAL, check("INFO {\"version\":\"2\"}\r\n", err));
}

TEST(what_is_no_nats_server_is_refused)
{
    static const char *const lines[] = {
        "HTTP/1.1 400 Bad Request\r\n", "INFO ", "INFO nothing\r\n", "INFO {}\r\n",
        "INFO {\"version\":2.10}\r\n",  ""};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_fails(ERROR_INTERNAL, check(lines[i], err));
}

TESTS(RUN(a_server_that_can_sync_is_taken), RUN(an_older_one_is_refused_by_its_version),
      RUN(what_is_no_nats_server_is_refused))
