/* A Redis URL: its parts fit, and written with %XX they read the same again. */
#include "fuzz.h"

#include "clients/percent.h"
#include "clients/redis.h"

enum { ENCODED_MAX = 3 * 256 + 1, URL_MAX = 3 * ENCODED_MAX + 64 };

static bool is_terminated(const char *text, size_t capacity)
{
    return memchr(text, '\0', capacity) != NULL;
}

static void encode(const char *text, char out[ENCODED_MAX])
{
    char back[256];

    FUZZ_ASSERT(percent_encode(text, out, ENCODED_MAX));
    FUZZ_ASSERT(percent_decode(out, strlen(out), back, sizeof(back)));
    FUZZ_ASSERT(strcmp(text, back) == 0);
}

static void send_again(const struct redis_address *address)
{
    char user[ENCODED_MAX];
    char password[ENCODED_MAX];
    char host[ENCODED_MAX];
    char url[URL_MAX];
    struct redis_address again;
    struct error err;

    encode(address->user, user);
    encode(address->password, password);
    encode(address->node.host, host);
    (void)snprintf(url, sizeof(url), "redis://%s:%s@%s:%d/%d", user, password, host,
                   address->node.port, address->database);
    FUZZ_ASSERT(redis_address_parse(url, 0, &again, &err));
    FUZZ_ASSERT(strcmp(again.node.host, address->node.host) == 0 &&
                again.node.port == address->node.port);
    FUZZ_ASSERT(strcmp(again.user, address->user) == 0);
    FUZZ_ASSERT(strcmp(again.password, address->password) == 0);
    FUZZ_ASSERT(again.database == address->database);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct redis_address address;
    struct error err = {.kind = ERROR_NONE};

    if (redis_address_parse(text, 0, &address, &err)) {
        FUZZ_ASSERT(is_terminated(address.node.host, sizeof(address.node.host)) &&
                    address.node.host[0] != '\0');
        FUZZ_ASSERT(is_terminated(address.user, sizeof(address.user)));
        FUZZ_ASSERT(is_terminated(address.password, sizeof(address.password)));
        FUZZ_ASSERT(address.node.port >= 1 && address.node.port <= 65535);
        FUZZ_ASSERT(address.database >= 0);
        send_again(&address);
    } else {
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
    }
    free(text);
    return 0;
}
