/*
 * nats_address.h — one text for where NATS is, whom to trust there and how to log in
 *
 * Why:     an endpoint is one text, so that a new certificate is taken up as a new address is.
 * Shape:   "urls", or "urls US ca US cert US key US creds_file" with the unit separator (0x1f).
 * Errors:  ERROR_INVALID names the variable, never a value.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

/* What nats_address_read fills has no NULL in it: what is not set is empty. */
struct nats_address {
    const char *urls; /* with commas between; logins are in them */
    const char *ca;   /* PEM: who may have signed the server's certificate; empty: the system's */
    const char *cert, *key; /* PEM: the client's own certificate */
    const char *creds_file; /* a file with a user's JWT and the seed of its nkey */
    char *text;             /* owned: where the others point into; NULL: borrowed */
    size_t text_size;
};

/* A part may be NULL. */
MUST_CHECK bool nats_address_check(const struct nats_address *address, struct error *err);
/* The owner frees it with endpoint_text_free; NULL: no memory. */
char *nats_address_join(const struct nats_address *address);
/* Call nats_address_wipe whatever it returns; false: no memory. out_version may be NULL. */
MUST_CHECK bool nats_address_read(struct endpoint *endpoint, uint64_t *out_version,
                                  struct nats_address *out);
void nats_address_wipe(struct nats_address *address);
/* A server without TLS is refused; a nats:// server that asks for it gets it anyway. */
bool nats_address_wants_tls(const struct nats_address *address);
