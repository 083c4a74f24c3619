/*
 * Whose address a request comes from: the input is TRUSTED_PROXIES, a newline, X-Forwarded-For.
 * Whatever a client writes left of what proxies have added changes nothing.
 */
#include "fuzz.h"

#include "event/visitor.h"
#include "http/client_address.h"

static const char forged[] = "203.0.113.66, 10.0.0.1, ";

static bool is_same(const struct event_ip *one, const struct event_ip *other)
{
    return one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0;
}

static void check_forging(const struct trusted_proxies *proxies, const struct event_ip *peer,
                          const char *header, size_t size, const struct event_ip *found)
{
    const size_t prefix_size = sizeof(forged) - 1;
    char *text = malloc(prefix_size + size);
    struct event_ip again;

    FUZZ_ASSERT(text != NULL);
    memcpy(text, forged, prefix_size);
    memcpy(text + prefix_size, header, size);
    again = client_address_find(proxies, peer, text, prefix_size + size);
    FUZZ_ASSERT(is_same(&again, found));
    free(text);
}

static void check_find(const struct trusted_proxies *proxies, const char *peer_text,
                       const char *header, size_t size)
{
    struct event_ip peer;
    struct event_ip found;

    FUZZ_ASSERT(ip_parse(peer_text, strlen(peer_text), &peer));
    found = client_address_find(proxies, &peer, header, size);
    FUZZ_ASSERT(found.size == 4 || found.size == 16);
    if (!trusted_proxies_has(proxies, &peer) || size == 0)
        FUZZ_ASSERT(is_same(&found, &peer));
    if (!trusted_proxies_has(proxies, &found) && size > 0)
        check_forging(proxies, &peer, header, size, &found);
}

static void check_networks(const struct trusted_proxies *proxies)
{
    FUZZ_ASSERT(proxies->count <= TRUSTED_NETWORKS_MAX);
    for (size_t i = 0; i < proxies->count; i++) {
        const struct trusted_network *network = &proxies->networks[i];

        FUZZ_ASSERT(network->ip.size == 4 || network->ip.size == 16);
        FUZZ_ASSERT(network->prefix_bits <= network->ip.size * 8U);
        FUZZ_ASSERT(trusted_proxies_has(proxies, &network->ip));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trusted_proxies proxies;
    struct error err = {.kind = ERROR_NONE};
    char *list = fuzz_line(&data, &size);

    if (trusted_proxies_parse(list, &proxies, &err)) {
        check_networks(&proxies);
        check_find(&proxies, "10.0.0.9", (const char *)data, size);
        check_find(&proxies, "2001:db8::9", (const char *)data, size);
    } else {
        FUZZ_ASSERT(err.kind == ERROR_INVALID);
        FUZZ_ASSERT(err.text[0] != '\0');
    }
    free(list);
    return 0;
}
