#include "event/visitor.h"

#include <arpa/inet.h>
#include <string.h>

#include <sodium.h>

_Static_assert(VISITOR_SALT_SIZE == crypto_shorthash_KEYBYTES, "the salt is SipHash's key");

uint64_t visitor_hash(const uint8_t salt[VISITOR_SALT_SIZE], const struct event_ip *ip,
                      const char *user_agent, size_t user_agent_size)
{
    uint8_t input[1 + sizeof(ip->bytes) + VISITOR_USER_AGENT_MAX];
    uint8_t hash[crypto_shorthash_BYTES];
    size_t size = 0;
    uint64_t visitor = 0;

    /* The size of the address stands first, so that no address and agent spell another pair. */
    input[size++] = ip->size;
    memcpy(input + size, ip->bytes, ip->size);
    size += ip->size;
    if (user_agent_size > VISITOR_USER_AGENT_MAX)
        user_agent_size = VISITOR_USER_AGENT_MAX;
    if (user_agent_size > 0)
        memcpy(input + size, user_agent, user_agent_size);
    size += user_agent_size;

    crypto_shorthash(hash, input, size, salt);
    for (size_t i = 0; i < sizeof(hash); i++)
        visitor |= (uint64_t)hash[i] << (8 * i);
    return visitor != 0 ? visitor : 1;
}

bool ip_storage_parse(const char *text, enum ip_storage *out)
{
    static const char *const names[] = {
        [IP_STORAGE_FULL] = "full",
        [IP_STORAGE_TRUNCATED] = "truncated",
        [IP_STORAGE_NONE] = "none",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum ip_storage)i;
            return true;
        }
    }
    return false;
}

struct event_ip ip_for_storage(const struct event_ip *ip, enum ip_storage storage)
{
    struct event_ip kept = {.size = 0};
    size_t kept_bytes = ip->size == 4 ? 3 : 6; /* a /24 or a /48 */

    if (storage == IP_STORAGE_FULL)
        return *ip;
    if (storage == IP_STORAGE_NONE || ip->size == 0)
        return kept;
    kept.size = ip->size;
    memcpy(kept.bytes, ip->bytes, kept_bytes);
    return kept;
}

bool ip_parse(const char *text, size_t size_bytes, struct event_ip *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN];
    struct event_ip ip = {.size = 0};

    if (size_bytes == 0 || size_bytes >= sizeof(copy) || memchr(text, '\0', size_bytes) != NULL)
        return false;
    memcpy(copy, text, size_bytes);
    copy[size_bytes] = '\0';

    /* inet_pton is strict by itself: it knows no zone, no leading zero and no short form. */
    if (inet_pton(AF_INET, copy, ip.bytes) == 1) {
        ip.size = 4;
    } else if (inet_pton(AF_INET6, copy, ip.bytes) != 1) {
        return false;
    } else if (memcmp(ip.bytes, mapped, sizeof(mapped)) == 0) {
        memcpy(ip.bytes, ip.bytes + sizeof(mapped), 4);
        memset(ip.bytes + 4, 0, sizeof(ip.bytes) - 4);
        ip.size = 4;
    } else {
        ip.size = 16;
    }
    *out = ip;
    return true;
}
