/*
 * tokens.h — makes JSON Web Tokens for tests, right ones and wrong ones
 *
 * Memory: what is returned lives until the next call of the same function.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { TOKEN_MAX = 8192 };

static const char *const token_secret = "0123456789abcdef0123456789abcdef";

static inline char *token_encode(char *out, const void *bytes, size_t size_bytes)
{
    sodium_bin2base64(out, TOKEN_MAX, bytes, size_bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return out + strlen(out);
}

/* "header.claims", not signed yet. */
static inline const char *token_body(const char *header, const char *claims)
{
    static char text[TOKEN_MAX * 2];
    char *end = token_encode(text, header, strlen(header));

    *end++ = '.';
    (void)token_encode(end, claims, strlen(claims));
    return text;
}

static inline const char *token_hs256(const char *header, const char *claims, const char *secret)
{
    static char token[TOKEN_MAX * 3];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int length = snprintf(token, sizeof(token), "%s.", token_body(header, claims));

    (void)HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)token,
               (size_t)length - 1, mac, &size);
    (void)token_encode(token + length, mac, size);
    return token;
}

static inline const char *token_rs256(const char *header, const char *claims, EVP_PKEY *key)
{
    static char token[TOKEN_MAX * 3];
    unsigned char signature[1024];
    size_t size = sizeof(signature);
    int length = snprintf(token, sizeof(token), "%s.", token_body(header, claims));
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    (void)EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key);
    (void)EVP_DigestSign(context, signature, &size, (const unsigned char *)token,
                         (size_t)length - 1);
    EVP_MD_CTX_free(context);
    (void)token_encode(token + length, signature, size);
    return token;
}
