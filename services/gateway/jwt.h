/*
 * jwt.h — a JSON Web Token, believed only when everything about it is as configured
 *
 * Why:     an identity provider can hand out short-lived tokens with a role, and no key has to be
 *          filed here.
 * Shape:   one algorithm and one key, chosen by the operator. The token's own "alg" decides
 *          nothing: any other word than the configured one is refused, "none" too, so a public key
 *          can never be taken for a shared secret. Checks:  three canonical base64url parts; a
 *          header with the right alg and no "crit"; the signature; then "exp" (must be there),
 *          "nbf", "iss", "aud" and "role". A name that stands twice in an object refuses the token.
 * Errors:  jwt_new: ERROR_INVALID says what about the settings is wrong, never the key. jwt_check
 *          answers with a reason that is safe to log and to tell.
 * Units:   leeway_s, of both clocks; at_ms is Unix time.
 * Limits:  JWT_MAX bytes a token, JWT_NESTS_MAX objects and lists in it, RSA keys of
 *          JWT_RSA_BITS_MIN to JWT_RSA_BITS_MAX, secrets of at least JWT_SECRET_MIN bytes.
 * Threads: any, once it is made.
 */
#pragma once

#include "base/error.h"
#include "role.h"
#include <stdint.h>

enum {
    JWT_MAX = 4096,
    JWT_NESTS_MAX = 32,
    JWT_RSA_BITS_MIN = 2048,
    JWT_RSA_BITS_MAX = 8192, /* checking a signature of a larger one would hold up the loop */
    JWT_SECRET_MIN = 32,
};

struct jwt_options {
    const char *alg;               /* "HS256" or "RS256" */
    const char *key;               /* the secret, or a public key as PEM */
    const char *issuer, *audience; /* NULL or "": not looked at */
    int64_t leeway_s;
};

struct jwt;

/* Copies what it needs. */
struct jwt *jwt_new(const struct jwt_options *options, struct error *err);
void jwt_free(struct jwt **jwt);

/* Worth a check: "x.y.z", as no key of ours is written. */
bool jwt_is_token(const char *text, size_t size_bytes);

/* NULL: believed, and *out_role is what the holder is; else why not. */
const char *jwt_check(const struct jwt *jwt, const char *token, size_t size_bytes, int64_t at_ms,
                      enum role *out_role);
