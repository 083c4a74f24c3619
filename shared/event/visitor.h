/*
 * visitor.h — who clicked, without keeping who it was
 *
 * A visitor is SipHash-2-4 of address and user agent under the day's 16-byte salt, so that the
 * same person is one visitor within a UTC day and a stranger on the next. All gateways share the
 * salts (table visitor_salts); see docs/decisions for why SipHash.
 */
#pragma once

#include "event/event.h"

enum {
    VISITOR_SALT_SIZE = 16,
    VISITOR_USER_AGENT_MAX = 1024, /* bytes of a user agent that count; the rest is left out */
};

/* Never 0: 0 means unknown. */
uint64_t visitor_hash(const uint8_t salt[VISITOR_SALT_SIZE], const struct event_ip *ip,
                      const char *user_agent, size_t user_agent_size);

enum ip_storage { IP_STORAGE_FULL, IP_STORAGE_TRUNCATED, IP_STORAGE_NONE };

bool ip_storage_parse(const char *text, enum ip_storage *out);
/* What may be stored of an address: all of it, its /24 or /48, or nothing. */
struct event_ip ip_for_storage(const struct event_ip *ip, enum ip_storage storage);

/* Strict: dotted quad without leading zeros, or IPv6 without a zone; an IPv4-mapped one becomes
 * IPv4. */
bool ip_parse(const char *text, size_t size_bytes, struct event_ip *out);
