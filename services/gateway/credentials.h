/*
 * credentials.h — what a caller has shown to say who it is
 *
 * Why:     a key may come as "Authorization: Bearer KEY" or as "X-API-Key: KEY". Whoever sends both
 *          must mean one key: else a proxy and we could each believe another one.
 * Shape:   pure; headers are fed one by one in their order.
 * Errors:  none: a header that is not of this form makes the whole malformed, for good.
 * Memory:  text is borrowed from the headers.
 * Limits:  a key or token has at most CREDENTIALS_MAX bytes of [A-Za-z0-9-._~+/] and "=" at its
 * end, as RFC 6750 writes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { CREDENTIALS_MAX = 4096 };

struct credentials {
    const char *text; /* NULL: none was shown */
    size_t size;
    bool is_malformed;
};

/* The value of an Authorization header: "Bearer" in any case, blanks, a key or token. */
void credentials_add_authorization(struct credentials *self, const char *value, size_t size_bytes);
/* The value of an X-API-Key header. */
void credentials_add_key(struct credentials *self, const char *value, size_t size_bytes);
