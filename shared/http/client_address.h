/*
 * client_address.h — whose address a request comes from
 *
 * Why:     behind a proxy the connection is the proxy's. X-Forwarded-For names the client, but its
 *          left end is whatever the client wrote there: only the hops that trusted proxies have
 *          added count, so it is read from the right.
 * Shape:   pure; the list of trusted networks is read once from TRUSTED_PROXIES.
 * Errors:  ERROR_INVALID names the entry of the list that is no network.
 * Limits:  TRUSTED_NETWORKS_MAX networks.
 */
#pragma once

#include "base/error.h"
#include "event/event.h"
#include <stddef.h>
#include <sys/socket.h>

enum { TRUSTED_NETWORKS_MAX = 32 };

struct trusted_network {
    struct event_ip ip;
    unsigned prefix_bits;
};

struct trusted_proxies {
    size_t count;
    struct trusted_network networks[TRUSTED_NETWORKS_MAX];
};

/* "10.0.0.0/8, 2001:db8::/32, 192.0.2.7"; NULL or "": nobody is trusted. */
MUST_CHECK bool trusted_proxies_parse(const char *text, struct trusted_proxies *out,
                                      struct error *err);
bool trusted_proxies_has(const struct trusted_proxies *proxies, const struct event_ip *ip);

/* An IPv4-mapped address becomes IPv4; size 0 for a family that is neither. */
struct event_ip client_address_of_socket(const struct sockaddr *address, socklen_t size_bytes);

/*
 * The peer, or, when it is a trusted proxy, the rightmost hop of the header that is not one.
 * What is no address stops the walk: the hop to its right is the answer. forwarded is the header's
 * value, not terminated; several header lines are joined by commas in their order.
 */
struct event_ip client_address_find(const struct trusted_proxies *proxies,
                                    const struct event_ip *peer, const char *forwarded,
                                    size_t size_bytes);
