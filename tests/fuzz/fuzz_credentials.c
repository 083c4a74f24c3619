/*
 * What a caller shows: lines of "a VALUE" (Authorization) and "k VALUE" (X-API-Key), in their
 * order. An admin's route opens to the one key alone, and never when two headers disagree.
 */
#include "fuzz.h"

#include "access.h"
#include "http/routes.h"
#include "settings.h"

/* The SHA-256 of "admin-key" and of "read-key". */
static char keys_text[] =
    "a admin 69a5265506c94c77b787a7d7377b7685a0eff82e33920a71e7ee22cd6154953e\n"
    "r read 8578df6c579d44d3bf7caeada69ed9cbca30b318a50a0e60216b46760edf5477\n";
static char off[] = "off";

static bool is_text(const struct credentials *credentials, const char *text)
{
    return credentials->text != NULL && !credentials->is_malformed &&
           credentials->size == strlen(text) &&
           memcmp(credentials->text, text, credentials->size) == 0;
}

static void check_access(const struct access *access, const struct credentials *credentials)
{
    static const unsigned flags[] = {0, ROUTE_COLLECT, ROUTE_READ, ROUTE_SERVER, ROUTE_ADMIN};
    const struct auth_key *key = access_find_key(access, credentials);
    bool is_admin = is_text(credentials, "admin-key");
    bool is_known = is_admin || is_text(credentials, "read-key");

    FUZZ_ASSERT((key != NULL) == is_known);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct access_answer answer = access_judge(access, flags[i], credentials, key, 1000);
        bool is_allowed = answer.verdict == ACCESS_ALLOWED;

        FUZZ_ASSERT(is_allowed || answer.why != NULL);
        FUZZ_ASSERT((answer.grants & ROUTE_ADMIN) == 0 || is_admin);
        if (flags[i] == ROUTE_ADMIN || flags[i] == ROUTE_SERVER)
            FUZZ_ASSERT(is_allowed == is_admin);
        if (flags[i] == ROUTE_READ)
            FUZZ_ASSERT(is_allowed == is_known || credentials->text == NULL);
    }
}

static void check_text(const struct credentials *credentials)
{
    if (credentials->text == NULL || credentials->is_malformed)
        return;
    FUZZ_ASSERT(credentials->size > 0 && credentials->size <= CREDENTIALS_MAX);
    for (size_t i = 0; i < credentials->size; i++)
        FUZZ_ASSERT(credentials->text[i] > ' ' && credentials->text[i] < 0x7f);
}

/* Two headers that show different things are malformed, whatever comes later. */
static void check_pair(const struct credentials *before, const struct credentials *after)
{
    FUZZ_ASSERT(!before->is_malformed || after->is_malformed);
    if (before->text != NULL &&
        (before->size != after->size || memcmp(before->text, after->text, before->size) != 0))
        FUZZ_ASSERT(after->is_malformed);
}

/* True: there was one more. */
static bool add_line(struct credentials *credentials, const uint8_t **data, size_t *size)
{
    const uint8_t *line = *data;
    const uint8_t *end = *size == 0 ? NULL : memchr(line, '\n', *size);
    size_t line_size = end == NULL ? *size : (size_t)(end - line);
    size_t used = line_size + (end == NULL ? 0 : 1);
    const struct credentials before = *credentials;

    if (*size == 0)
        return false;
    *data += used;
    *size -= used;
    if (line_size >= 2 && line[0] == 'a' && line[1] == ' ')
        credentials_add_authorization(credentials, (const char *)line + 2, line_size - 2);
    else if (line_size >= 2 && line[0] == 'k' && line[1] == ' ')
        credentials_add_key(credentials, (const char *)line + 2, line_size - 2);
    check_pair(&before, credentials);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct access *access;
    const struct settings settings = {.auth_keys = keys_text, .auth_jwt_alg = off};
    struct credentials credentials = {.text = NULL};
    struct error err;

    if (access == NULL)
        access = access_new(&settings, &err);
    FUZZ_ASSERT(access != NULL);
    while (add_line(&credentials, &data, &size)) {
        check_text(&credentials);
        check_access(access, &credentials);
    }
    return 0;
}
