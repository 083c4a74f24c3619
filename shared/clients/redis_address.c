#include "clients/redis.h"

#include "clients/percent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, PORT_MAX = 65535, DATABASE_MAX = 1 << 20 };

/* A view of a part of the URL. */
struct part {
    const char *text;
    size_t size;
};

/* What is wrong is named, the URL is not shown: it may hold a password. */
static bool refuse(struct error *err, const char *what)
{
    return error_set(err, ERROR_INVALID, "redis URL: %s", what);
}

static bool read_number(struct part part, int max, int *out)
{
    char digits[12];
    char *end;
    long value;

    if (part.size == 0 || part.size >= sizeof(digits) ||
        strspn(part.text, "0123456789") < part.size)
        return false;
    memcpy(digits, part.text, part.size);
    digits[part.size] = '\0';
    errno = 0;
    value = strtol(digits, &end, 10);
    if (errno != 0 || value > max)
        return false;
    *out = (int)value;
    return true;
}

/* [user]:password; a user without a colon is an error, Redis has no login without a password. */
static bool read_login(struct part part, struct redis_address *address, struct error *err)
{
    const char *colon = memchr(part.text, ':', part.size);
    size_t user_size = colon == NULL ? 0 : (size_t)(colon - part.text);

    if (colon == NULL)
        return refuse(err, "user without a password");
    if (!percent_decode(part.text, user_size, address->user, sizeof(address->user)) ||
        !percent_decode(colon + 1, part.size - user_size - 1, address->password,
                        sizeof(address->password)))
        return refuse(err, "user or password is too long or badly %-encoded");
    return true;
}

/* host[:port] or [v6][:port] */
static bool read_host(struct part part, struct redis_node *out, struct error *err)
{
    const char *end = part.text + part.size;
    bool is_v6 = part.size > 0 && part.text[0] == '[';
    const char *host = is_v6 ? part.text + 1 : part.text;
    const char *host_end = memchr(host, is_v6 ? ']' : ':', (size_t)(end - host));
    struct redis_node node = {.port = DEFAULT_PORT};
    const char *rest;

    if (host_end == NULL && is_v6)
        return refuse(err, "'[' without ']'");
    if (host_end == NULL)
        host_end = end;
    rest = is_v6 ? host_end + 1 : host_end;
    if (host_end == host)
        return refuse(err, "no host");
    if (!percent_decode(host, (size_t)(host_end - host), node.host, sizeof(node.host)))
        return refuse(err, "host is too long or badly %-encoded");
    if (rest != end &&
        (*rest != ':' ||
         !read_number((struct part){rest + 1, (size_t)(end - rest - 1)}, PORT_MAX, &node.port) ||
         node.port == 0))
        return refuse(err, "port must be 1 to 65535");
    *out = node;
    return true;
}

/* host,host,...: all of them must be right, the one whose turn it is is kept. */
static bool read_hosts(struct part part, unsigned turn, struct redis_address *address,
                       struct error *err)
{
    const char *end = part.text + part.size;
    struct redis_node node;

    address->node_count = 1;
    for (const char *each = part.text; each < end; each++)
        address->node_count += *each == ',';
    if (address->node_count > REDIS_NODES_MAX)
        return refuse(err, "too many hosts");
    for (unsigned i = 0; i < address->node_count; i++) {
        const char *comma = memchr(part.text, ',', (size_t)(end - part.text));
        const char *host_end = comma == NULL ? end : comma;

        if (!read_host((struct part){part.text, (size_t)(host_end - part.text)}, &node, err))
            return false;
        if (i == turn % address->node_count)
            address->node = node;
        part.text = host_end + 1;
    }
    return true;
}

bool redis_address_parse(const char *url, unsigned turn, struct redis_address *out,
                         struct error *err)
{
    static const char scheme[] = "redis://";
    struct redis_address address = {0};
    const char *host = url + sizeof(scheme) - 1;
    const char *login_end;
    size_t authority_size;
    struct part database;

    if (strncmp(url, "rediss://", strlen("rediss://")) == 0)
        return refuse(err, "TLS is not spoken here: put stunnel or a sidecar between");
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return refuse(err, "must begin with redis://");
    authority_size = strcspn(host, "/?#");
    login_end = memrchr(host, '@', authority_size);
    database = (struct part){host + authority_size, strlen(host + authority_size)};
    if (login_end != NULL) {
        size_t login_size = (size_t)(login_end - host);

        if (!read_login((struct part){host, login_size}, &address, err))
            return false;
        host = login_end + 1;
        authority_size -= login_size + 1;
    }
    if (!read_hosts((struct part){host, authority_size}, turn, &address, err))
        return false;
    if (database.size > 1 && (database.text[0] != '/' ||
                              !read_number((struct part){database.text + 1, database.size - 1},
                                           DATABASE_MAX, &address.database)))
        return refuse(err, "what follows the host must be /database, a number");
    *out = address;
    return true;
}

/* MOVED 3999 127.0.0.1:6381; without a host it is the one that answered. IPv6 has no brackets. */
bool redis_node_follow(const char *reply, struct redis_node *node)
{
    static const char word[] = "MOVED ";
    const char *slot = reply + sizeof(word) - 1;
    const char *host;
    const char *colon;
    int port = 0;

    if (strncmp(reply, word, sizeof(word) - 1) != 0)
        return false;
    host = slot + strspn(slot, "0123456789");
    colon = strrchr(host, ':');
    if (*host++ != ' ' || colon < host || colon - host > REDIS_HOST_MAX ||
        !read_number((struct part){colon + 1, strlen(colon + 1)}, PORT_MAX, &port) || port == 0)
        return false;
    if (colon > host)
        snprintf(node->host, sizeof(node->host), "%.*s", (int)(colon - host), host);
    node->port = port;
    return true;
}
