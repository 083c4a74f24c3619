#include "check.h"

#include "access.h"
#include "base/auto.h"
#include "http/routes.h"
#include "settings.h"
#include "tokens.h"

enum { AT_MS = 1000 };

/* The SHA-256 of "collect-key" and so on. */
#define KEYS                                                                                       \
    "c collect bac751c4d902d46cb0600e2f4d4062d08a7db9f50719869761acd19f8bcf3daf\n"                 \
    "r read 8578df6c579d44d3bf7caeada69ed9cbca30b318a50a0e60216b46760edf5477\n"                    \
    "s server 0e7492b2aec83281693d7625c966037073becf9b86dc4d0c8277bb4394b7d474 rps=7\n"            \
    "a admin 69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e rps=0 burst=9\n"

static char keys_text[] = KEYS;
static char off[] = "off";
static char hs256[] = "HS256";
static char jwt_secret[] = "0123456789abcdef0123456789abcdef";

static struct settings settings_with_keys(void)
{
    return (struct settings){
        .auth_keys = keys_text, .auth_jwt_alg = off, .rate_limit_rps = 3, .rate_limit_burst = 4};
}

static struct access *build(const struct settings *settings, struct error *err)
{
    struct access *access = access_new(settings, err);

    assert_ok(access != NULL);
    return access;
}

/* NULL key: nothing is shown. */
static enum access_verdict judge(const struct access *access, unsigned flags, const char *key)
{
    struct credentials credentials = {.text = NULL};

    if (key != NULL)
        credentials_add_key(&credentials, key, strlen(key));
    return access_judge(access, flags, &credentials, access_find_key(access, &credentials), AT_MS)
        .verdict;
}

/* Who may on a route with a flag; the letters of those who are allowed, of: none, wrong key,
 * collect, read, server, admin. */
static void expect(const struct access *access, unsigned flags, const char *allowed)
{
    static const char *const keys[] = {NULL,       "wrong-key",  "collect-key",
                                       "read-key", "server-key", "admin-key"};
    static const char letters[] = "-wcrsa";

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        enum access_verdict refused = i < 2 ? ACCESS_UNAUTHORIZED : ACCESS_FORBIDDEN;
        bool is_allowed = strchr(allowed, letters[i]) != NULL;

        assert_int_equal(is_allowed ? ACCESS_ALLOWED : refused, judge(access, flags, keys[i]));
    }
}

TEST(opens_collecting_and_reading_to_all_but_wrong_keys_and_other_roles)
{
    struct settings settings = settings_with_keys();
    AUTO(access_free) struct access *access = build(&settings, err);

    expect(access, 0, "-crsa");
    expect(access, ROUTE_COLLECT, "-csa");
    expect(access, ROUTE_READ, "-rsa");
    expect(access, ROUTE_SERVER, "sa");
    expect(access, ROUTE_ADMIN, "a");
    expect(access, ROUTE_ADMIN | ROUTE_BODY_JSON, "a");
}

TEST(asks_for_a_key_where_the_settings_say_so)
{
    struct settings settings = settings_with_keys();

    settings.require_collect_key = true;
    AUTO(access_free) struct access *collecting = build(&settings, err);
    settings.require_collect_key = false;
    settings.require_read_key = true;
    AUTO(access_free) struct access *reading = build(&settings, err);

    expect(collecting, ROUTE_COLLECT, "csa");
    expect(collecting, ROUTE_READ, "-rsa");
    expect(reading, ROUTE_COLLECT, "-csa");
    expect(reading, ROUTE_READ, "rsa");
    expect(reading, 0, "-crsa");
}

TEST(lets_nobody_in_where_a_key_is_needed_and_none_is_configured)
{
    const struct settings settings = {.auth_jwt_alg = off};
    AUTO(access_free) struct access *access = build(&settings, err);

    assert_true(access_is_open(access));
    assert_int_equal(ACCESS_ALLOWED, judge(access, ROUTE_COLLECT, "any-key"));
    assert_int_equal(ACCESS_UNAUTHORIZED, judge(access, ROUTE_ADMIN, "any-key"));
    assert_int_equal(ACCESS_UNAUTHORIZED, judge(access, ROUTE_SERVER, NULL));
}

TEST(believes_tokens_beside_keys)
{
    struct settings settings = settings_with_keys();

    settings.auth_jwt_alg = hs256;
    settings.auth_jwt_key = jwt_secret;
    AUTO(access_free) struct access *access = build(&settings, err);
    const char *token =
        token_hs256("{\"alg\":\"HS256\"}", "{\"exp\":9,\"role\":\"read\"}", jwt_secret);

    assert_int_equal(ACCESS_ALLOWED, judge(access, ROUTE_READ, token));
    assert_int_equal(ACCESS_FORBIDDEN, judge(access, ROUTE_SERVER, token));
    assert_int_equal(ACCESS_ALLOWED, judge(access, ROUTE_ADMIN, "admin-key"));
    token = token_hs256("{\"alg\":\"HS256\"}", "{\"exp\":0,\"role\":\"read\"}", jwt_secret);
    assert_int_equal(ACCESS_UNAUTHORIZED, judge(access, ROUTE_READ, token));
    assert_int_equal(ACCESS_UNAUTHORIZED, judge(access, 0, token));
}

TEST(knows_each_keys_rate)
{
    struct settings settings = settings_with_keys();
    AUTO(access_free) struct access *access = build(&settings, err);
    static const struct {
        const char *key;
        int64_t rps, burst;
    } expected[] = {{"collect-key", 3, 4}, {"server-key", 7, 0}, {"admin-key", 0, 9}};

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct credentials credentials = {.text = NULL};

        credentials_add_key(&credentials, expected[i].key, strlen(expected[i].key));
        struct rate rate = access_key_rate(access, access_find_key(access, &credentials));
        assert_int_equal(expected[i].rps, rate.rps);
        assert_int_equal(expected[i].burst, rate.burst);
    }
}

TEST(builds_nothing_from_wrong_settings_and_names_the_place)
{
    static char wrong[] = "# keys\nsomebody owner 1234\n";
    const struct settings settings = {.auth_jwt_alg = off, .auth_keys = wrong};

    assert_fails(ERROR_INVALID, access_new(&settings, err) != NULL);
    assert_non_null(strstr(err->text, "AUTH_KEYS_FILE"));
    assert_non_null(strstr(err->text, "line 2"));
}

TEST(keeps_a_held_snapshot_when_a_newer_one_is_published)
{
    struct settings settings = settings_with_keys();
    struct access *first = build(&settings, err);
    AUTO(access_board_free) struct access_board *board = access_board_new(&first, err);
    const struct access *held = NULL;
    const struct access *fresh = NULL;

    access_take(board, &held);
    settings.auth_keys = NULL;
    struct access *second = build(&settings, err);
    access_publish(board, &second);
    assert_null(second);
    assert_int_equal(ACCESS_ALLOWED, judge(held, ROUTE_ADMIN, "admin-key"));

    access_take(board, &fresh);
    assert_int_equal(ACCESS_UNAUTHORIZED, judge(fresh, ROUTE_ADMIN, "admin-key"));
    access_take(board, &held);
    assert_ptr_equal(held, fresh);
    access_drop(&held);
    access_drop(&fresh);
}

TEST(reads_a_key_from_either_header)
{
    struct credentials bearer = {.text = NULL};
    struct credentials both = {.text = NULL};

    credentials_add_authorization(&bearer, "bEaReR   abc==", 14);
    assert_false(bearer.is_malformed);
    assert_memory_equal("abc==", bearer.text, 5);
    assert_int_equal(5, bearer.size);
    credentials_add_authorization(&both, "Bearer abc", 10);
    credentials_add_key(&both, "abc", 3);
    assert_false(both.is_malformed);
}

TEST(takes_two_headers_that_differ_for_malformed)
{
    struct credentials credentials = {.text = NULL};

    credentials_add_authorization(&credentials, "Bearer abc", 10);
    credentials_add_key(&credentials, "abd", 3);
    assert_true(credentials.is_malformed);
    credentials_add_key(&credentials, "abd", 3);
    assert_true(credentials.is_malformed);
}

TEST(takes_every_other_form_for_malformed)
{
    static const char *const wrong[] = {
        "",         "Bearer",     "Bearer ",    "Bearerabc",    "Basic YWJj", "Bearer a b",
        "Bearer =", "Bearer a=b", "Bearer a,b", "Bearer \"a\"", "Bearer a\t", "Bearer \xc3\xa9"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct credentials credentials = {.text = NULL};

        credentials_add_authorization(&credentials, wrong[i], strlen(wrong[i]));
        assert_true(credentials.is_malformed);
        assert_non_null(credentials.text);
    }
}

TESTS(RUN(opens_collecting_and_reading_to_all_but_wrong_keys_and_other_roles),
      RUN(asks_for_a_key_where_the_settings_say_so),
      RUN(lets_nobody_in_where_a_key_is_needed_and_none_is_configured),
      RUN(believes_tokens_beside_keys), RUN(knows_each_keys_rate),
      RUN(builds_nothing_from_wrong_settings_and_names_the_place),
      RUN(keeps_a_held_snapshot_when_a_newer_one_is_published), RUN(reads_a_key_from_either_header),
      RUN(takes_two_headers_that_differ_for_malformed), RUN(takes_every_other_form_for_malformed))
