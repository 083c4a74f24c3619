#include "clients/redis.h"

#include "base/auto.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCRIPT_ARGS_MAX = 1 << 19, /* Redis itself takes a million */
    SCRIPT_FIXED_ARGS = 3,     /* EVALSHA, the script, the number of keys */
    SHA_SIZE = 41
};

/* One script may be shared by threads: whoever comes first computes its name. */
static bool name(struct redis_script *script, char out_sha[SHA_SIZE])
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    bool is_named = true;

    pthread_mutex_lock(&lock);
    if (script->sha[0] == '\0') {
        is_named =
            EVP_Digest(script->text, strlen(script->text), digest, &size, EVP_sha1(), NULL) == 1;
        for (unsigned int i = 0; is_named && i < size; i++)
            snprintf(script->sha + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    memcpy(out_sha, script->sha, SHA_SIZE);
    pthread_mutex_unlock(&lock);
    return is_named;
}

static bool is_forgotten(const struct error *err)
{
    static const char reply[] = "redis: NOSCRIPT";

    return strncmp(err->text, reply, sizeof(reply) - 1) == 0;
}

/* NOLINTNEXTLINE(readability-function-size): eight parts of a call, none of them a luxury. */
bool redis_eval(struct redis *redis, struct redis_script *script, int key_count, int argc,
                const char **argv, const size_t *argv_sizes, redisReply **out_reply,
                struct error *err)
{
    AUTO(auto_free) const char **args = NULL;
    AUTO(auto_free) size_t *sizes = NULL;
    char sha[SHA_SIZE];
    char keys[12];

    assert(key_count >= 0 && key_count <= argc);
    if (argc > SCRIPT_ARGS_MAX)
        return error_set(err, ERROR_LIMIT, "redis: a script takes %d arguments", SCRIPT_ARGS_MAX);
    args = calloc((size_t)argc + SCRIPT_FIXED_ARGS, sizeof(*args));
    sizes = calloc((size_t)argc + SCRIPT_FIXED_ARGS, sizeof(*sizes));
    if (args == NULL || sizes == NULL || !name(script, sha))
        return error_set(err, ERROR_LIMIT, "redis: no memory for a script's arguments");
    snprintf(keys, sizeof(keys), "%d", key_count);
    args[0] = "EVALSHA";
    args[1] = sha;
    args[2] = keys;
    for (int i = 0; i < argc; i++) {
        args[i + SCRIPT_FIXED_ARGS] = argv[i];
        sizes[i + SCRIPT_FIXED_ARGS] = argv_sizes == NULL ? strlen(argv[i]) : argv_sizes[i];
    }
    for (int i = 0; i < SCRIPT_FIXED_ARGS; i++)
        sizes[i] = strlen(args[i]);
    if (redis_command(redis, argc + SCRIPT_FIXED_ARGS, args, sizes, out_reply, err))
        return true;
    if (!is_forgotten(err))
        return false;
    args[0] = "EVAL";
    args[1] = script->text;
    sizes[0] = strlen(args[0]);
    sizes[1] = strlen(script->text);
    return redis_command(redis, argc + SCRIPT_FIXED_ARGS, args, sizes, out_reply, err);
}
