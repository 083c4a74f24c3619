#include "base/auto.h"
#include "check.h"
#include "clients/endpoint.h"

#include <string.h>

TEST(a_new_text_is_a_new_version_and_gives_the_old_one_back)
{
    AUTO(endpoint_free) struct endpoint *endpoint = endpoint_new("one", err);
    AUTO(endpoint_text_free) char *text = strdup("two");
    AUTO(endpoint_text_free) char *now = NULL;
    uint64_t version = 0;

    assert_int_equal(endpoint_version(endpoint), 1);
    assert_true(endpoint_swap(endpoint, &text));
    assert_string_equal(text, "one");
    now = endpoint_get(endpoint, &version);
    assert_string_equal(now, "two");
    assert_int_equal(version, 2);
    assert_int_equal(endpoint_version(endpoint), 2);
}

TEST(the_same_text_is_no_change)
{
    AUTO(endpoint_free) struct endpoint *endpoint = endpoint_new("one", err);
    AUTO(endpoint_text_free) char *text = strdup("one");

    assert_false(endpoint_swap(endpoint, &text));
    assert_string_equal(text, "one");
    assert_int_equal(endpoint_version(endpoint), 1);
}

TESTS(RUN(a_new_text_is_a_new_version_and_gives_the_old_one_back), RUN(the_same_text_is_no_change))
