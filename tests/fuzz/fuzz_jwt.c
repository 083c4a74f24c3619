/*
 * A token: first as it came, then as header, newline and claims under the right signature, so that
 * what lies behind the signature is reached, too.
 */
#include "fuzz.h"

#include "jwt.h"
#include "tokens.h"

#include <jansson.h>

enum { LEEWAY_S = 10, PARTS_MAX = 3000 };

#define AT_MS INT64_C(1767323045678)

static struct jwt *jwt_of(const char *secret)
{
    const struct jwt_options options = {
        .alg = "HS256", .key = secret, .issuer = "us", .audience = "ads", .leeway_s = LEEWAY_S};
    struct error err;
    struct jwt *jwt = jwt_new(&options, &err);

    FUZZ_ASSERT(jwt != NULL);
    return jwt;
}

/* What is believed says it: read again, by jansson alone. */
static void check_claims(const char *text, enum role role)
{
    json_t *claims = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *expires = json_object_get(claims, "exp");
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    const char *name = json_string_value(json_object_get(claims, "role"));

    FUZZ_ASSERT(role < ROLE_COUNT);
    FUZZ_ASSERT(name != NULL && strcmp(name, role_text(role)) == 0);
    FUZZ_ASSERT(issuer != NULL && strcmp(issuer, "us") == 0);
    FUZZ_ASSERT(json_is_number(expires));
    FUZZ_ASSERT(json_number_value(expires) + LEEWAY_S > (double)AT_MS / 1000);
    FUZZ_ASSERT(json_object_get(claims, "aud") != NULL);
    json_decref(claims);
}

/* One more byte, one less, or one that differs: no longer believed. */
static void check_damage(const struct jwt *jwt, const char *token)
{
    size_t size = strlen(token);
    char *damaged = malloc(size + 2);
    enum role role;

    FUZZ_ASSERT(damaged != NULL);
    (void)snprintf(damaged, size + 2, "%s=", token);
    FUZZ_ASSERT(jwt_check(jwt, damaged, size + 1, AT_MS, &role) != NULL);
    FUZZ_ASSERT(jwt_check(jwt, damaged, size - 1, AT_MS, &role) != NULL);
    for (size_t i = 0; i < size; i += 1 + size / 16) {
        memcpy(damaged, token, size);
        damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
        FUZZ_ASSERT(jwt_check(jwt, damaged, size, AT_MS, &role) != NULL);
    }
    free(damaged);
}

static void check_signed(const struct jwt *jwt, const struct jwt *other, const uint8_t *data,
                         size_t size)
{
    char *header = fuzz_line(&data, &size);
    char *claims = fuzz_text(data, size);
    enum role role = ROLE_COUNT;

    if (strlen(header) + strlen(claims) <= PARTS_MAX) {
        const char *token = token_hs256(header, claims, token_secret);

        FUZZ_ASSERT(jwt_is_token(token, strlen(token)));
        FUZZ_ASSERT(jwt_check(other, token, strlen(token), AT_MS, &role) != NULL);
        FUZZ_ASSERT(role == ROLE_COUNT);
        if (jwt_check(jwt, token, strlen(token), AT_MS, &role) == NULL) {
            check_claims(claims, role);
            check_damage(jwt, token);
        }
    }
    free(header);
    free(claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwt *jwt;
    static struct jwt *other;
    enum role role = ROLE_COUNT;

    if (jwt == NULL) {
        jwt = jwt_of(token_secret);
        other = jwt_of("another secret of thirty-two bytes or more");
    }
    (void)jwt_is_token((const char *)data, size);
    /* Nobody signs a raw input rightly, least of all for both. */
    FUZZ_ASSERT(jwt_check(jwt, (const char *)data, size, AT_MS, &role) != NULL ||
                jwt_check(other, (const char *)data, size, AT_MS, &role) != NULL);
    check_signed(jwt, other, data, size);
    return 0;
}
