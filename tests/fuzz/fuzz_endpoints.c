/*
 * The addresses of the servers. Whatever is set around it, a password arrives as it was set, and
 * neither an error nor a note tells it.
 */
#include "fuzz.h"

#include "clients/endpoints.h"
#include "clients/redis.h"

#include <libpq-fe.h>

static char secret[] = "sw0rdfish";

static bool resolve(struct endpoints *endpoints)
{
    struct error err = {.kind = ERROR_NONE};
    bool is_done = endpoints_resolve(endpoints, &err);

    FUZZ_ASSERT(is_done == (err.kind == ERROR_NONE));
    FUZZ_ASSERT(is_done || err.kind == ERROR_INVALID);
    FUZZ_ASSERT(is_done || strstr(err.text, secret) == NULL);
    FUZZ_ASSERT(endpoints->note_count <= ENDPOINT_NOTES_MAX);
    for (size_t i = 0; i < endpoints->note_count; i++)
        FUZZ_ASSERT(strstr(endpoints->notes[i], secret) == NULL);
    return is_done;
}

/* before + text + after as DATABASE_URL; true: it was taken. */
static bool check_dsn(const char *before, const char *text, const char *after)
{
    size_t room = strlen(before) + strlen(text) + strlen(after) + 1;
    struct endpoints endpoints = {.database_url = malloc(room)};
    bool is_taken;

    FUZZ_ASSERT(endpoints.database_url != NULL);
    (void)snprintf(endpoints.database_url, room, "%s%s%s", before, text, after);
    is_taken = resolve(&endpoints);
    if (is_taken) {
        PQconninfoOption *options = PQconninfoParse(endpoints.postgres, NULL);

        FUZZ_ASSERT(options != NULL);
        PQconninfoFree(options);
    }
    free(endpoints.database_url);
    return is_taken;
}

static const char *find_option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val == NULL ? "" : options->val;
    }
    return "";
}

/* Any text is a password. */
static void check_password(char *text)
{
    static char host[] = "h";
    static char user[] = "u";
    struct endpoints endpoints = {.postgres_host = host,
                                  .postgres_user = user,
                                  .postgres_db = user,
                                  .postgres_port = 5432,
                                  .postgres_password = text,
                                  .redis_host = host,
                                  .redis_port = 6379,
                                  .redis_password = text};
    struct redis_address redis;
    PQconninfoOption *postgres;
    struct error err;

    if (!resolve(&endpoints))
        return;
    postgres = PQconninfoParse(endpoints.postgres, NULL);
    FUZZ_ASSERT(postgres != NULL);
    FUZZ_ASSERT(strcmp(find_option(postgres, "password"), text) == 0);
    FUZZ_ASSERT(strcmp(find_option(postgres, "host"), host) == 0);
    PQconninfoFree(postgres);
    FUZZ_ASSERT(redis_address_parse(endpoints.redis, 0, &redis, &err));
    FUZZ_ASSERT(strcmp(redis.password, text) == 0 && strcmp(redis.node.host, host) == 0);
}

/* Where Redis is says nothing about its password. */
static void check_redis(char *text, bool is_host)
{
    struct endpoints endpoints = {.redis_password = secret, .redis_port = 6379};
    struct redis_address redis;
    struct error err;

    if (is_host)
        endpoints.redis_host = text;
    else
        endpoints.redis_addr = text;
    if (!resolve(&endpoints) || strstr(text, "://") != NULL || (!is_host && text[0] == '\0'))
        return;
    FUZZ_ASSERT(redis_address_parse(endpoints.redis, 0, &redis, &err));
    FUZZ_ASSERT(strcmp(redis.password, secret) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    if (strstr(text, secret) == NULL) { /* whoever names it so has told it */
        (void)check_dsn("", text, "");
        (void)check_dsn("host=h password='sw0rdfish x' ", text, "");
        (void)check_dsn("postgres://u:sw0rdfish@h/d", text, "");
        (void)check_dsn("postgres://u:", text, "sw0rdfish@h/d");
        /* A blank that nothing quotes would cut the password. */
        FUZZ_ASSERT(!check_dsn("host=h ", text, " password=my sw0rdfish"));
        check_password(text);
        check_redis(text, false);
        check_redis(text, true);
    }
    free(text);
    return 0;
}
