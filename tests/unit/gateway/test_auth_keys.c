#include "check.h"

#include "auth_keys.h"
#include "base/auto.h"

#include <stdio.h>
#include <string.h>

/* The SHA-256 of "alpha-key" and of "beta-key". */
#define HASH_ALPHA "677509799af78b2efa2f2af71d0f906e0a0c50c048efd3b515625f788e92b99a"
#define HASH_BETA  "7a3d637bc601f7000cc2c33141c8c8a7554e02e319fa8b293a0c88c613b77620"

#define LINES_MAX (AUTH_KEYS_MAX * 100 + 100)

static struct auth_keys *parse(const char *text, struct error *err)
{
    return auth_keys_parse(text, strlen(text), err);
}

static const struct auth_key *find(const struct auth_keys *keys, const char *key)
{
    return auth_keys_find(keys, key, strlen(key));
}

TEST(finds_a_key_by_its_hash_with_its_name_role_and_rate)
{
    AUTO(auth_keys_free)
    struct auth_keys *keys = parse("# ours\n"
                                   "\n"
                                   "web collect " HASH_ALPHA "\r\n"
                                   "  shop\tserver  " HASH_BETA " burst=20 rps=5 # and why\n",
                                   err);

    assert_ok(keys != NULL);
    assert_int_equal(2, auth_keys_count(keys));
    assert_string_equal("web", find(keys, "alpha-key")->name);
    assert_int_equal(ROLE_COLLECT, find(keys, "alpha-key")->role);
    assert_int_equal(-1, find(keys, "alpha-key")->rps);
    assert_int_equal(ROLE_SERVER, find(keys, "beta-key")->role);
    assert_int_equal(5, find(keys, "beta-key")->rps);
    assert_int_equal(20, find(keys, "beta-key")->burst);
}

TEST(knows_no_other_key)
{
    AUTO(auth_keys_free)
    struct auth_keys *keys = parse("web collect " HASH_ALPHA, err);

    assert_ok(keys != NULL);
    assert_null(find(keys, "beta-key"));
    assert_null(find(keys, "alpha-ke"));
    assert_null(find(keys, "alpha-keyy"));
    assert_null(find(keys, ""));
    assert_null(find(keys, HASH_ALPHA));
}

TEST(reads_a_file_without_keys)
{
    AUTO(auth_keys_free) struct auth_keys *keys = parse("", err);

    assert_ok(keys != NULL);
    assert_null(find(keys, ""));
}

TEST(refuses_a_wrong_line_by_its_number_and_repeats_nothing_of_it)
{
    static const char *const wrong[] = {
        "web collect",
        "web collect " HASH_ALPHA " rps=1 burst=2 more",
        "web owner " HASH_ALPHA,
        "web Collect " HASH_ALPHA,
        "we/b collect " HASH_ALPHA,
        "a-name-that-is-longer-than-32-bytes collect " HASH_ALPHA,
        "web collect alpha-key",
        "web collect " HASH_ALPHA "0",
        "web collect g" HASH_ALPHA,
        "web collect " HASH_ALPHA " rps=",
        "web collect " HASH_ALPHA " rps=-1",
        "web collect " HASH_ALPHA " rps=1000001",
        "web collect " HASH_ALPHA " rps=99999999999999999999",
        "web collect " HASH_ALPHA " rps=1 rps=1",
        "web collect " HASH_ALPHA " speed=1",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[512];

        (void)snprintf(text, sizeof(text), "# one\nbeta read " HASH_BETA "\n%s\n", wrong[i]);
        assert_fails(ERROR_INVALID, parse(text, err) != NULL);
        assert_non_null(strstr(err->text, "line 3"));
        assert_null(strstr(err->text, "web"));
        assert_null(strstr(err->text, "alpha"));
    }
}

TEST(refuses_a_name_or_a_key_that_stands_there_twice)
{
    assert_fails(ERROR_INVALID, parse("a read " HASH_ALPHA "\na read " HASH_BETA, err) != NULL);
    assert_non_null(strstr(err->text, "line 2"));
    assert_fails(ERROR_INVALID, parse("a read " HASH_ALPHA "\nb read " HASH_ALPHA, err) != NULL);
    assert_non_null(strstr(err->text, "line 2"));
}

TEST(refuses_a_line_that_is_too_long_and_a_nul)
{
    char text[AUTH_LINE_MAX + 100];

    memset(text, ' ', sizeof(text));
    assert_fails(ERROR_INVALID, auth_keys_parse(text, sizeof(text), err) != NULL);
    assert_fails(ERROR_INVALID, auth_keys_parse("a\0b read " HASH_ALPHA,
                                                sizeof("a\0b read " HASH_ALPHA) - 1, err) != NULL);
}

/* Key number i has the hash 000..i, which no test needs a preimage of. */
static size_t write_lines(char *out, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(out + size, LINES_MAX - size, "k%zu read %064zx\n", i, i);
    return size;
}

TEST(takes_as_many_keys_as_its_limit_and_not_one_more)
{
    AUTO(auto_free) char *text = malloc(LINES_MAX);
    AUTO(auth_keys_free)
    struct auth_keys *keys = auth_keys_parse(text, write_lines(text, AUTH_KEYS_MAX), err);

    assert_ok(keys != NULL);
    assert_int_equal(AUTH_KEYS_MAX, auth_keys_count(keys));
    assert_fails(ERROR_INVALID,
                 auth_keys_parse(text, write_lines(text, AUTH_KEYS_MAX + 1), err) != NULL);
    assert_non_null(strstr(err->text, "line 513"));
}

TESTS(RUN(finds_a_key_by_its_hash_with_its_name_role_and_rate), RUN(knows_no_other_key),
      RUN(reads_a_file_without_keys),
      RUN(refuses_a_wrong_line_by_its_number_and_repeats_nothing_of_it),
      RUN(refuses_a_name_or_a_key_that_stands_there_twice),
      RUN(refuses_a_line_that_is_too_long_and_a_nul),
      RUN(takes_as_many_keys_as_its_limit_and_not_one_more))
