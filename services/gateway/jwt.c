/*
 * From a token to a role, and every way out of it:
 *
 *   split             three parts
 *   check_header      the algorithm is the configured one
 *   check_signature   only now are the claims worth reading
 *   check_claims      time, issuer, audience, role
 */
#include "jwt.h"

#include "base/auto.h"

#include <jansson.h>
#include <math.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

enum { HMAC_SIZE = 32 };

struct jwt {
    char *alg, *issuer, *audience; /* owned */
    char *secret;                  /* owned; HS256 */
    size_t secret_size;
    EVP_PKEY *public_key; /* owned; RS256 */
    double leeway_s;
};

struct part {
    const char *text;
    size_t size;
};

struct parts {
    struct part header, claims, signature;
    struct part signed_text; /* header.claims, as it came */
};

static bool split(const char *token, size_t size_bytes, struct parts *out);
static const char *check_header(const struct jwt *self, const struct part *header);
static const char *check_signature(const struct jwt *self, const struct parts *parts);
static const char *check_claims(const struct jwt *self, const struct part *part, int64_t at_ms,
                                enum role *out_role);

static bool load_public_key(struct jwt *self, const char *pem, struct error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);

    if (bio == NULL)
        return error_set(err, ERROR_LIMIT, "jwt: no memory");
    self->public_key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (self->public_key == NULL)
        return error_set(err, ERROR_INVALID,
                         "AUTH_JWT_KEY: is no public key in PEM, as RS256 asks for");
    if (EVP_PKEY_get_base_id(self->public_key) != EVP_PKEY_RSA ||
        EVP_PKEY_get_bits(self->public_key) < JWT_RSA_BITS_MIN ||
        EVP_PKEY_get_bits(self->public_key) > JWT_RSA_BITS_MAX)
        return error_set(err, ERROR_INVALID, "AUTH_JWT_KEY: is no RSA key of %d to %d bits",
                         JWT_RSA_BITS_MIN, JWT_RSA_BITS_MAX);
    return true;
}

/* A PEM as a shared secret is a mistake that makes the public key a key to everything. */
static bool load_secret(struct jwt *self, const char *secret, struct error *err)
{
    if (strstr(secret, "-----BEGIN") != NULL)
        return error_set(err, ERROR_INVALID, "AUTH_JWT_KEY: is a PEM, and HS256 wants a secret");
    self->secret_size = strlen(secret);
    if (self->secret_size < JWT_SECRET_MIN)
        return error_set(err, ERROR_INVALID, "AUTH_JWT_KEY: HS256 wants at least %d bytes",
                         JWT_SECRET_MIN);
    self->secret = strdup(secret);
    return self->secret != NULL || error_set(err, ERROR_LIMIT, "jwt: no memory");
}

static bool copy(char **out, const char *text, struct error *err)
{
    if (text == NULL || text[0] == '\0')
        return true;
    *out = strdup(text);
    return *out != NULL || error_set(err, ERROR_LIMIT, "jwt: no memory");
}

struct jwt *jwt_new(const struct jwt_options *options, struct error *err)
{
    AUTO(jwt_free) struct jwt *self = calloc(1, sizeof(*self));
    bool is_rsa = strcmp(options->alg, "RS256") == 0;

    if (self == NULL || sodium_init() < 0) {
        (void)error_set(err, ERROR_LIMIT, "jwt: no memory");
        return NULL;
    }
    if (options->key == NULL || options->key[0] == '\0') {
        (void)error_set(err, ERROR_INVALID, "AUTH_JWT_KEY: must be set for AUTH_JWT_ALG");
        return NULL;
    }
    self->leeway_s = (double)options->leeway_s;
    if (!copy(&self->alg, options->alg, err) || !copy(&self->issuer, options->issuer, err) ||
        !copy(&self->audience, options->audience, err))
        return NULL;
    if (is_rsa ? !load_public_key(self, options->key, err) : !load_secret(self, options->key, err))
        return NULL;
    return TAKE(self);
}

void jwt_free(struct jwt **jwt)
{
    struct jwt *self = *jwt;

    if (self == NULL)
        return;
    if (self->secret != NULL)
        sodium_memzero(self->secret, self->secret_size);
    free(self->secret);
    EVP_PKEY_free(self->public_key);
    free(self->alg);
    free(self->issuer);
    free(self->audience);
    free(self);
    *jwt = NULL;
}

static size_t count_dots(const char *text, size_t size_bytes)
{
    size_t count = 0;

    for (size_t i = 0; i < size_bytes; i++)
        count += text[i] == '.';
    return count;
}

bool jwt_is_token(const char *text, size_t size_bytes)
{
    return count_dots(text, size_bytes) == 2;
}

const char *jwt_check(const struct jwt *jwt, const char *token, size_t size_bytes, int64_t at_ms,
                      enum role *out_role)
{
    struct parts parts;
    const char *why;

    if (size_bytes > JWT_MAX || !split(token, size_bytes, &parts))
        return "it is no token";
    why = check_header(jwt, &parts.header);
    if (why == NULL)
        why = check_signature(jwt, &parts);
    if (why == NULL)
        why = check_claims(jwt, &parts.claims, at_ms, out_role);
    return why;
}

static bool split(const char *token, size_t size_bytes, struct parts *out)
{
    const char *end = token + size_bytes;
    const char *first = memchr(token, '.', size_bytes);
    const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first) - 1);

    if (second == NULL || count_dots(second, (size_t)(end - second)) != 1)
        return false;
    out->header = (struct part){token, (size_t)(first - token)};
    out->claims = (struct part){first + 1, (size_t)(second - first) - 1};
    out->signature = (struct part){second + 1, (size_t)(end - second) - 1};
    out->signed_text = (struct part){token, (size_t)(second - token)};
    return true;
}

/* Strict: no padding, no blanks, no bits left over, so that a token has one spelling. */
static bool decode(const struct part *part, uint8_t out[JWT_MAX], size_t *out_size)
{
    const char *end = NULL;

    return part->size > 0 &&
           sodium_base642bin(out, JWT_MAX, part->text, part->size, NULL, out_size, &end,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           end == part->text + part->size;
}

static void json_free(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

/* Every level is a call of jansson's own, and the header is read before anybody is believed. */
static bool is_shallow(const char *text, size_t size_bytes)
{
    int nests = 0;

    for (size_t i = 0; i < size_bytes; i++)
        nests += text[i] == '{' || text[i] == '[';
    return nests <= JWT_NESTS_MAX;
}

/* NULL: not an object. */
static json_t *parse_object(const struct part *part)
{
    uint8_t bytes[JWT_MAX];
    size_t size = 0;
    AUTO(json_free) json_t *json = NULL;

    if (!decode(part, bytes, &size) || !is_shallow((const char *)bytes, size))
        return NULL;
    json = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(json) ? TAKE(json) : NULL;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           memcmp(json_string_value(value), text, strlen(text)) == 0;
}

static const char *check_header(const struct jwt *self, const struct part *header)
{
    AUTO(json_free) json_t *json = parse_object(header);

    if (json == NULL)
        return "its header is no JSON object";
    if (!is_text(json_object_get(json, "alg"), self->alg))
        return "its algorithm is not the one in use here";
    if (json_object_get(json, "crit") != NULL)
        return "its header asks for what is not understood here";
    return NULL;
}

static bool verify_hmac(const struct jwt *self, const struct part *text, const uint8_t *signature,
                        size_t size_bytes)
{
    uint8_t expected[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    return HMAC(EVP_sha256(), self->secret, (int)self->secret_size, (const uint8_t *)text->text,
                text->size, expected, &size) != NULL &&
           size == HMAC_SIZE && size_bytes == HMAC_SIZE &&
           sodium_memcmp(expected, signature, HMAC_SIZE) == 0;
}

static bool verify_rsa(const struct jwt *self, const struct part *text, const uint8_t *signature,
                       size_t size_bytes)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_right =
        context != NULL &&
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, self->public_key) == 1 &&
        EVP_DigestVerify(context, signature, size_bytes, (const uint8_t *)text->text, text->size) ==
            1;

    EVP_MD_CTX_free(context);
    return is_right;
}

static const char *check_signature(const struct jwt *self, const struct parts *parts)
{
    uint8_t signature[JWT_MAX];
    size_t size = 0;
    bool is_right =
        decode(&parts->signature, signature, &size) &&
        (self->public_key != NULL ? verify_rsa(self, &parts->signed_text, signature, size)
                                  : verify_hmac(self, &parts->signed_text, signature, size));

    return is_right ? NULL : "its signature is wrong";
}

static const char *check_times(const struct jwt *self, const json_t *claims, double at_s)
{
    const json_t *expires = json_object_get(claims, "exp");
    const json_t *begins = json_object_get(claims, "nbf");

    if (!json_is_number(expires))
        return "it has no time of expiry";
    if (at_s >= json_number_value(expires) + self->leeway_s)
        return "it has expired";
    if (begins != NULL && !json_is_number(begins))
        return "its beginning is no time";
    if (begins != NULL && at_s + self->leeway_s < json_number_value(begins))
        return "it is not valid yet";
    return NULL;
}

/* One audience, or a list with ours in it. */
static bool is_for(const json_t *audience, const char *name)
{
    const json_t *one;
    size_t i;

    if (!json_is_array(audience))
        return is_text(audience, name);
    json_array_foreach(audience, i, one)
    {
        if (is_text(one, name))
            return true;
    }
    return false;
}

static const char *check_claims(const struct jwt *self, const struct part *part, int64_t at_ms,
                                enum role *out_role)
{
    AUTO(json_free) json_t *claims = parse_object(part);
    const json_t *role = json_object_get(claims, "role");
    const char *why;

    if (claims == NULL)
        return "its claims are no JSON object";
    why = check_times(self, claims, (double)at_ms / 1000);
    if (why != NULL)
        return why;
    if (self->issuer != NULL && !is_text(json_object_get(claims, "iss"), self->issuer))
        return "it is of another issuer";
    if (self->audience != NULL && !is_for(json_object_get(claims, "aud"), self->audience))
        return "it is for another audience";
    if (!json_is_string(role) ||
        !role_parse(json_string_value(role), json_string_length(role), out_role))
        return "its role is none of ours";
    return NULL;
}
