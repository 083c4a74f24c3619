/*
 * role.h — what a key or token lets its holder do
 *
 *            collect   read   server   admin     routes with the flag
 *   collect     x                                ROUTE_COLLECT: records events
 *   read                 x                       ROUTE_READ: analytics
 *   server      x        x       x               ROUTE_SERVER: proof; and its body's ip counts
 *   admin       x        x       x       x       ROUTE_ADMIN
 *
 * Errors: role_parse answers false for any other word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum role { ROLE_COLLECT, ROLE_READ, ROLE_SERVER, ROLE_ADMIN, ROLE_COUNT };

bool role_parse(const char *text, size_t size_bytes, enum role *out_role);
const char *role_text(enum role role);
/* The ROUTE_ flags that the role satisfies. */
unsigned role_grants(enum role role);
