/*
 * auth_keys.h — the keys that callers may show, as the operator has listed them
 *
 * Form:    a line each, blanks between: NAME ROLE SHA256 [rps=N] [burst=N]. NAME is 1 to
 *          AUTH_NAME_MAX of [A-Za-z0-9._-] and unique, SHA256 the key's hash in 64 hexadecimal
 *          digits. "#" starts a comment; empty lines are skipped.
 * Why:     the list holds hashes, so who reads it cannot call us. A key is random and long
 *          (tools/key makes them), so one round of SHA-256 is enough: there is nothing to guess.
 * Time:    a key is looked up by a SipHash of its SHA-256 under a random secret of this process,
 *          then compared in constant time. How long a wrong key takes tells about its SipHash,
 *          which nobody outside can compute, and nothing about any key.
 * Errors:  ERROR_INVALID names the line and what is wrong with it, never what stands there.
 * Memory:  owned by the caller until auth_keys_free.
 * Limits:  AUTH_KEYS_MAX keys, AUTH_LINE_MAX bytes a line.
 * Threads: any, once it is made.
 */
#pragma once

#include "base/error.h"
#include "role.h"
#include <stddef.h>
#include <stdint.h>

enum { AUTH_KEYS_MAX = 512, AUTH_NAME_MAX = 32, AUTH_LINE_MAX = 512, AUTH_HASH_SIZE = 32 };

struct auth_key {
    char name[AUTH_NAME_MAX + 1];
    enum role role;
    int64_t rps, burst; /* requests; -1: the line does not say */
    uint8_t hash[AUTH_HASH_SIZE];
};

struct auth_keys;

struct auth_keys *auth_keys_parse(const char *text, size_t size_bytes, struct error *err);
void auth_keys_free(struct auth_keys **keys);
size_t auth_keys_count(const struct auth_keys *keys);

/* NULL: it is none of ours. */
const struct auth_key *auth_keys_find(const struct auth_keys *keys, const char *key,
                                      size_t size_bytes);
