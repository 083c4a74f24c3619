#include "http/client_address.h"

#include "event/visitor.h"
#include <netinet/in.h>
#include <string.h>

static bool parse_network(const char *text, size_t size_bytes, struct trusted_network *out);
static bool is_inside(const struct trusted_network *network, const struct event_ip *ip);

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void trim(const char **text, size_t *size_bytes)
{
    while (*size_bytes > 0 && is_space((*text)[0])) {
        (*text)++;
        (*size_bytes)--;
    }
    while (*size_bytes > 0 && is_space((*text)[*size_bytes - 1]))
        (*size_bytes)--;
}

bool trusted_proxies_parse(const char *text, struct trusted_proxies *out, struct error *err)
{
    struct trusted_proxies proxies = {.count = 0};

    for (const char *rest = text; rest != NULL && *rest != '\0';) {
        const char *entry = rest;
        const size_t entry_size = strcspn(rest, ",");
        size_t size = entry_size;

        rest += entry_size + (rest[entry_size] == ',' ? 1 : 0);
        trim(&entry, &size);
        if (size == 0)
            continue;
        if (proxies.count == TRUSTED_NETWORKS_MAX)
            return error_set(err, ERROR_INVALID, "trusted proxies: more than %d networks",
                             TRUSTED_NETWORKS_MAX);
        if (!parse_network(entry, size, &proxies.networks[proxies.count]))
            return error_set(err, ERROR_INVALID,
                             "trusted proxies: \"%.*s\" is no network: write it like 10.0.0.0/8",
                             (int)(size < 64 ? size : 64), entry);
        proxies.count++;
    }
    *out = proxies;
    return true;
}

/* 0 to 3 digits after the slash; no sign, no leading zero. */
static bool parse_prefix(const char *text, size_t size_bytes, unsigned max, unsigned *out_bits)
{
    unsigned bits = 0;

    if (size_bytes == 0 || size_bytes > 3 || (size_bytes > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    *out_bits = bits;
    return bits <= max;
}

static bool parse_network(const char *text, size_t size_bytes, struct trusted_network *out)
{
    const char *slash = memchr(text, '/', size_bytes);
    const size_t ip_size = slash == NULL ? size_bytes : (size_t)(slash - text);

    if (!ip_parse(text, ip_size, &out->ip))
        return false;
    out->prefix_bits = out->ip.size * 8U;
    return slash == NULL ||
           parse_prefix(slash + 1, size_bytes - ip_size - 1, out->prefix_bits, &out->prefix_bits);
}

bool trusted_proxies_has(const struct trusted_proxies *proxies, const struct event_ip *ip)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (is_inside(&proxies->networks[i], ip))
            return true;
    }
    return false;
}

static bool is_inside(const struct trusted_network *network, const struct event_ip *ip)
{
    const size_t whole = network->prefix_bits / 8;
    const unsigned rest = network->prefix_bits % 8;
    const unsigned mask = 0xFFU << (8 - rest) & 0xFFU;

    if (ip->size == 0 || ip->size != network->ip.size ||
        memcmp(ip->bytes, network->ip.bytes, whole) != 0)
        return false;
    return rest == 0 || ((ip->bytes[whole] ^ network->ip.bytes[whole]) & mask) == 0;
}

static struct event_ip from_ipv6(const struct in6_addr *address)
{
    struct event_ip ip = {.size = 16};

    if (IN6_IS_ADDR_V4MAPPED(address)) {
        ip.size = 4;
        memcpy(ip.bytes, address->s6_addr + 12, 4);
    } else {
        memcpy(ip.bytes, address->s6_addr, 16);
    }
    return ip;
}

struct event_ip client_address_of_socket(const struct sockaddr *address, socklen_t size_bytes)
{
    struct event_ip ip = {.size = 0};
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (size_bytes >= sizeof(ipv6) && address->sa_family == AF_INET6) {
        memcpy(&ipv6, address, sizeof(ipv6));
        return from_ipv6(&ipv6.sin6_addr);
    }
    if (size_bytes >= sizeof(ipv4) && address->sa_family == AF_INET) {
        memcpy(&ipv4, address, sizeof(ipv4));
        ip.size = 4;
        memcpy(ip.bytes, &ipv4.sin_addr, 4);
    }
    return ip;
}

/* "192.0.2.1", "192.0.2.1:1234", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:1234". */
static bool parse_hop(const char *text, size_t size_bytes, struct event_ip *out)
{
    const char *colon;
    const char *bracket;

    trim(&text, &size_bytes);
    if (size_bytes > 0 && text[0] == '[') {
        bracket = memchr(text, ']', size_bytes);
        return bracket != NULL && ip_parse(text + 1, (size_t)(bracket - text) - 1, out);
    }
    colon = size_bytes == 0 ? NULL : memchr(text, ':', size_bytes);
    if (colon != NULL && memchr(colon + 1, ':', size_bytes - (size_t)(colon + 1 - text)) == NULL)
        size_bytes = (size_t)(colon - text);
    return ip_parse(text, size_bytes, out);
}

struct event_ip client_address_find(const struct trusted_proxies *proxies,
                                    const struct event_ip *peer, const char *forwarded,
                                    size_t size_bytes)
{
    struct event_ip found = *peer;

    while (size_bytes > 0 && trusted_proxies_has(proxies, &found)) {
        const char *comma = memrchr(forwarded, ',', size_bytes);
        const size_t start = comma == NULL ? 0 : (size_t)(comma + 1 - forwarded);
        struct event_ip hop = {.size = 0};

        if (!parse_hop(forwarded + start, size_bytes - start, &hop))
            break;
        found = hop;
        size_bytes = comma == NULL ? 0 : start - 1;
    }
    return found;
}
