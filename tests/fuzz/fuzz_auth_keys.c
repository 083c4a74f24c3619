/*
 * The file of keys: what it lists is found by its key, what it does not list is not, and an error
 * never tells what stands there.
 */
#include "fuzz.h"

#include "auth_keys.h"

/* The SHA-256 of "admin-key". */
static const char known_hash[] = "69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e";
static const char known_key[] = "admin-key";

static void check_known(const struct auth_keys *keys, const char *text, size_t size)
{
    const struct auth_key *key = auth_keys_find(keys, known_key, sizeof(known_key) - 1);

    FUZZ_ASSERT(auth_keys_count(keys) <= AUTH_KEYS_MAX);
    FUZZ_ASSERT(auth_keys_find(keys, known_hash, sizeof(known_hash) - 1) == NULL);
    FUZZ_ASSERT(auth_keys_find(keys, "", 0) == NULL);
    if (key == NULL)
        return;
    FUZZ_ASSERT(auth_keys_count(keys) > 0);
    FUZZ_ASSERT(key->name[0] != '\0' && strlen(key->name) <= AUTH_NAME_MAX);
    FUZZ_ASSERT(memmem(text, size, key->name, strlen(key->name)) != NULL);
    FUZZ_ASSERT(memmem(text, size, role_text(key->role), strlen(role_text(key->role))) != NULL);
    FUZZ_ASSERT(key->rps >= -1 && key->burst >= -1);
}

/* The same list behind a line that repeats the key under a name of its own. */
static void check_twice(const char *text, size_t size)
{
    static const char line[] = "fuzz-twice admin ";
    size_t line_size = sizeof(line) - 1 + sizeof(known_hash);
    char *twice = malloc(line_size + size);
    struct error err = {.kind = ERROR_NONE};
    struct auth_keys *keys;

    FUZZ_ASSERT(twice != NULL);
    (void)snprintf(twice, line_size, "%s%s", line, known_hash);
    twice[line_size - 1] = '\n';
    memcpy(twice + line_size, text, size);
    keys = auth_keys_parse(twice, line_size + size, &err);
    FUZZ_ASSERT(keys == NULL && err.kind == ERROR_INVALID);
    free(twice);
}

/* No run of the file's own words stands in the error: hashes are looked for, eight bytes of one
 * would be enough to find it. */
static void check_error(const struct error *err, const char *text, size_t size)
{
    FUZZ_ASSERT(err->kind == ERROR_INVALID && strncmp(err->text, "keys: line ", 11) == 0);
    FUZZ_ASSERT(memmem(text, size, known_hash, 8) == NULL || strstr(err->text, "69a52655") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct error err = {.kind = ERROR_NONE};
    struct auth_keys *keys = auth_keys_parse(text, size, &err);

    if (keys == NULL) {
        check_error(&err, text, size);
        return 0;
    }
    check_known(keys, text, size);
    if (auth_keys_find(keys, known_key, sizeof(known_key) - 1) != NULL)
        check_twice(text, size);
    auth_keys_free(&keys);
    FUZZ_ASSERT(keys == NULL);
    return 0;
}
