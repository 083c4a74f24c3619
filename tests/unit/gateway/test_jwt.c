#include "check.h"

#include "base/auto.h"
#include "jwt.h"
#include "tokens.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#define HS256   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define RS256   "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"
#define AT_S    1000000
#define CLAIMS  "{\"exp\":1000100,\"role\":\"server\"}"
#define WITH(x) "{\"exp\":1000100,\"role\":\"server\"," x "}"

static struct jwt *checker(const char *issuer, const char *audience, struct error *err)
{
    const struct jwt_options options = {
        .alg = "HS256",
        .key = token_secret,
        .issuer = issuer,
        .audience = audience,
        .leeway_s = 30,
    };
    struct jwt *jwt = jwt_new(&options, err);

    assert_ok(jwt != NULL);
    return jwt;
}

static const char *check_at(const struct jwt *jwt, const char *token, int64_t at_s)
{
    enum role role = ROLE_COUNT;
    const char *why = jwt_check(jwt, token, strlen(token), at_s * 1000, &role);

    assert_true(why != NULL || role == ROLE_SERVER);
    return why;
}

static const char *check_claims(const struct jwt *jwt, const char *claims)
{
    return check_at(jwt, token_hs256(HS256, claims, token_secret), AT_S);
}

TEST(believes_a_token_with_the_right_signature_and_a_role)
{
    AUTO(jwt_free) struct jwt *jwt = checker("", NULL, err);

    assert_null(check_claims(jwt, CLAIMS));
    assert_null(check_claims(jwt, WITH("\"iss\":\"anybody\",\"aud\":[\"x\"],\"sub\":\"me\"")));
    assert_null(check_at(jwt, token_hs256("{\"alg\":\"HS256\"}", CLAIMS, token_secret), AT_S));
}

/* What an algorithm of the token's own choice would allow. */
TEST(refuses_every_algorithm_but_the_configured_one)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",    "{\"alg\":\"RS256\"}",
        "{\"alg\":\"HS384\"}", "{\"alg\":\"hs256\"}",   "{\"alg\":\"\"}",
        "{\"alg\":null}",      "{\"alg\":[\"HS256\"]}", "{}",
    };
    AUTO(jwt_free) struct jwt *jwt = checker("", "", err);
    char unsigned_token[TOKEN_MAX];

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        assert_string_equal("its algorithm is not the one in use here",
                            check_at(jwt, token_hs256(headers[i], CLAIMS, token_secret), AT_S));
    (void)snprintf(unsigned_token, sizeof(unsigned_token), "%s.",
                   token_body("{\"alg\":\"none\"}", CLAIMS));
    assert_non_null(check_at(jwt, unsigned_token, AT_S));
    (void)snprintf(unsigned_token, sizeof(unsigned_token), "%s.", token_body(HS256, CLAIMS));
    assert_non_null(check_at(jwt, unsigned_token, AT_S));
}

TEST(refuses_a_header_that_asks_for_more_or_says_a_thing_twice)
{
    AUTO(jwt_free) struct jwt *jwt = checker("", "", err);

    assert_non_null(check_at(
        jwt, token_hs256("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", CLAIMS, token_secret), AT_S));
    assert_non_null(check_at(
        jwt, token_hs256("{\"alg\":\"none\",\"alg\":\"HS256\"}", CLAIMS, token_secret), AT_S));
    assert_non_null(check_at(jwt, token_hs256("[\"HS256\"]", CLAIMS, token_secret), AT_S));
}

TEST(refuses_another_secret_and_any_changed_byte)
{
    AUTO(jwt_free) struct jwt *jwt = checker("", "", err);
    char token[TOKEN_MAX];
    size_t size;

    assert_non_null(
        check_at(jwt, token_hs256(HS256, CLAIMS, "fedcba9876543210fedcba9876543210"), AT_S));
    (void)snprintf(token, sizeof(token), "%s", token_hs256(HS256, CLAIMS, token_secret));
    size = strlen(token);
    for (size_t i = 0; i < size; i++) {
        const char right = token[i];

        token[i] = right == 'A' ? 'B' : 'A';
        assert_non_null(check_at(jwt, token, AT_S));
        token[i] = right;
    }
    assert_null(check_at(jwt, token, AT_S));
}

TEST(refuses_what_is_not_three_parts_of_strict_base64url)
{
    AUTO(jwt_free) struct jwt *jwt = checker("", "", err);
    char good[TOKEN_MAX];
    char token[TOKEN_MAX];
    enum role role;

    (void)snprintf(good, sizeof(good), "%s", token_hs256(HS256, CLAIMS, token_secret));
    static const char *const forms[] = {"%s=", "%s.", ".%s", "%s ", "%s.x", "a.b.%s"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        int length = 0;

        for (const char *at = forms[i]; *at != '\0'; at++) {
            if (*at == '%')
                length += snprintf(token + length, sizeof(token) - (size_t)length, "%s", good);
            else if (at == forms[i] || at[-1] != '%')
                token[length++] = *at;
        }
        token[length] = '\0';
        assert_non_null(check_at(jwt, token, AT_S));
    }
    assert_non_null(check_at(jwt, "", AT_S));
    assert_non_null(check_at(jwt, "..", AT_S));
    memset(token, 'a', sizeof(token));
    assert_non_null(jwt_check(jwt, token, JWT_MAX + 1, 0, &role));
}

TEST(looks_at_the_times_with_a_leeway)
{
    AUTO(jwt_free) struct jwt *jwt = checker("", "", err);
    const char *later = WITH("\"nbf\":1000050");

    assert_null(check_at(jwt, token_hs256(HS256, CLAIMS, token_secret), 1000129));
    assert_string_equal("it has expired",
                        check_at(jwt, token_hs256(HS256, CLAIMS, token_secret), 1000130));
    assert_null(check_at(jwt, token_hs256(HS256, later, token_secret), 1000020));
    assert_string_equal("it is not valid yet",
                        check_at(jwt, token_hs256(HS256, later, token_secret), 1000019));
    assert_string_equal("it has no time of expiry", check_claims(jwt, "{\"role\":\"server\"}"));
    assert_non_null(check_claims(jwt, "{\"role\":\"server\",\"exp\":\"1000100\"}"));
    assert_non_null(check_claims(jwt, "{\"role\":\"server\",\"exp\":1e999}"));
    assert_non_null(check_claims(jwt, WITH("\"nbf\":\"1\"")));
}

TEST(asks_for_one_of_our_roles)
{
    AUTO(jwt_free) struct jwt *jwt = checker("", "", err);

    assert_non_null(check_claims(jwt, "{\"exp\":1000100}"));
    assert_non_null(check_claims(jwt, "{\"exp\":1000100,\"role\":\"root\"}"));
    assert_non_null(check_claims(jwt, "{\"exp\":1000100,\"role\":[\"server\"]}"));
    assert_non_null(check_claims(jwt, "{\"exp\":1000100,\"role\":\"read\",\"role\":\"server\"}"));
    assert_non_null(check_claims(jwt, "[]"));
}

TEST(asks_for_the_issuer_and_the_audience_that_are_set)
{
    AUTO(jwt_free) struct jwt *jwt = checker("https://id", "ads", err);

    assert_null(check_claims(jwt, WITH("\"iss\":\"https://id\",\"aud\":\"ads\"")));
    assert_null(check_claims(jwt, WITH("\"iss\":\"https://id\",\"aud\":[\"x\",\"ads\"]")));
    assert_non_null(check_claims(jwt, WITH("\"iss\":\"https://id\"")));
    assert_non_null(check_claims(jwt, WITH("\"iss\":\"https://id/\",\"aud\":\"ads\"")));
    assert_non_null(check_claims(jwt, WITH("\"iss\":\"https://id\",\"aud\":[\"x\",1]")));
    assert_non_null(check_claims(jwt, WITH("\"aud\":\"ads\"")));
}

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static size_t write_pem(EVP_PKEY *key, char *out, size_t size_max)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int size;

    assert_int_equal(1, PEM_write_bio_PUBKEY(bio, key));
    size = BIO_read(bio, out, (int)size_max - 1);
    out[size] = '\0';
    BIO_free(bio);
    return (size_t)size;
}

TEST(checks_rsa_signatures_and_never_takes_the_public_key_for_a_secret)
{
    AUTO(free_key) EVP_PKEY *key = EVP_RSA_gen(2048);
    AUTO(free_key) EVP_PKEY *other = EVP_RSA_gen(2048);
    char pem[4096];
    struct jwt_options options = {.alg = "RS256", .key = pem};

    (void)write_pem(key, pem, sizeof(pem));
    AUTO(jwt_free) struct jwt *jwt = jwt_new(&options, err);
    assert_ok(jwt != NULL);
    assert_null(check_at(jwt, token_rs256(RS256, CLAIMS, key), AT_S));
    assert_non_null(check_at(jwt, token_rs256(RS256, CLAIMS, other), AT_S));
    assert_non_null(check_at(jwt, token_hs256(HS256, CLAIMS, pem), AT_S));
    assert_non_null(check_at(jwt, token_hs256(RS256, CLAIMS, pem), AT_S));

    options.alg = "HS256";
    assert_fails(ERROR_INVALID, jwt_new(&options, err) != NULL);
}

TEST(refuses_settings_that_would_be_weak_and_says_nothing_of_the_key)
{
    AUTO(free_key) EVP_PKEY *weak = EVP_RSA_gen(1024);
    char pem[4096];
    const struct jwt_options wrong[] = {
        {.alg = "HS256", .key = "a-short-secret"},
        {.alg = "HS256", .key = ""},
        {.alg = "HS256", .key = NULL},
        {.alg = "RS256", .key = token_secret},
        {.alg = "RS256", .key = pem},
    };

    (void)write_pem(weak, pem, sizeof(pem));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_fails(ERROR_INVALID, jwt_new(&wrong[i], err) != NULL);
        assert_non_null(strstr(err->text, "AUTH_JWT_KEY"));
        assert_null(strstr(err->text, "short"));
    }
}

TESTS(RUN(believes_a_token_with_the_right_signature_and_a_role),
      RUN(refuses_every_algorithm_but_the_configured_one),
      RUN(refuses_a_header_that_asks_for_more_or_says_a_thing_twice),
      RUN(refuses_another_secret_and_any_changed_byte),
      RUN(refuses_what_is_not_three_parts_of_strict_base64url),
      RUN(looks_at_the_times_with_a_leeway), RUN(asks_for_one_of_our_roles),
      RUN(asks_for_the_issuer_and_the_audience_that_are_set),
      RUN(checks_rsa_signatures_and_never_takes_the_public_key_for_a_secret),
      RUN(refuses_settings_that_would_be_weak_and_says_nothing_of_the_key))
