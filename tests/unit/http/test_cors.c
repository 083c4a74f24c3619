#include "check.h"

#include "base/auto.h"
#include "http/cors.h"
#include <string.h>

static bool is_allowed(const char *list, const char *origin, struct error *err)
{
    AUTO(cors_free) struct cors *cors = cors_new(list, err);

    assert_ok(cors != NULL);
    return cors_allows(cors, origin, strlen(origin));
}

TEST(allows_nobody_without_a_list)
{
    assert_false(is_allowed(NULL, "https://a.example", err));
    assert_false(is_allowed("", "https://a.example", err));
}

TEST(allows_exactly_the_listed_origins)
{
    const char *list = "https://a.example, http://localhost:3000";

    assert_true(is_allowed(list, "https://a.example", err));
    assert_true(is_allowed(list, "http://localhost:3000", err));
    assert_false(is_allowed(list, "http://a.example", err));
    assert_false(is_allowed(list, "https://a.example.evil", err));
    assert_false(is_allowed(list, "http://localhost", err));
}

TEST(allows_anybody_by_a_star)
{
    assert_true(is_allowed("*", "https://whoever.example", err));
}

TEST(refuses_an_entry_that_is_no_origin)
{
    assert_fails(ERROR_INVALID, cors_new("a.example", err) != NULL);
    assert_fails(ERROR_INVALID, cors_new("https://a.example/path", err) != NULL);
    assert_non_null(strstr(err->text, "https://a.example/path"));
}

TESTS(RUN(allows_nobody_without_a_list), RUN(allows_exactly_the_listed_origins),
      RUN(allows_anybody_by_a_star), RUN(refuses_an_entry_that_is_no_origin))
