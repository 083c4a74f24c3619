#include "role.h"

#include "http/routes.h"

#include <string.h>

static const struct {
    const char *text;
    unsigned grants;
} rows[ROLE_COUNT] = {
    [ROLE_COLLECT] = {"collect", ROUTE_COLLECT},
    [ROLE_READ] = {"read", ROUTE_READ},
    [ROLE_SERVER] = {"server", ROUTE_COLLECT | ROUTE_READ | ROUTE_SERVER},
    [ROLE_ADMIN] = {"admin", ROUTE_COLLECT | ROUTE_READ | ROUTE_SERVER | ROUTE_ADMIN},
};

bool role_parse(const char *text, size_t size_bytes, enum role *out_role)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (strlen(rows[i].text) == size_bytes && memcmp(rows[i].text, text, size_bytes) == 0) {
            *out_role = (enum role)i;
            return true;
        }
    }
    return false;
}

const char *role_text(enum role role)
{
    return rows[role].text;
}

unsigned role_grants(enum role role)
{
    return rows[role].grants;
}
