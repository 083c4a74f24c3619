#include "clients/endpoints.h"

#include "base/auto.h"
#include "clients/nats_address.h"
#include "clients/percent.h"
#include "clients/redis.h"
#include "runtime/log.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool resolve_postgres(struct endpoints *endpoints, struct error *err);
static bool resolve_redis(struct endpoints *endpoints, struct error *err);
static struct nats_address nats_address_of(const struct endpoints *endpoints);

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

static void note(struct endpoints *endpoints, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct endpoints *endpoints, const char *format, ...)
{
    va_list args;

    if (endpoints->note_count == ENDPOINT_NOTES_MAX)
        return;
    va_start(args, format);
    vsnprintf(endpoints->notes[endpoints->note_count++], ENDPOINT_NOTE_MAX, format, args);
    va_end(args);
}

bool endpoints_resolve(struct endpoints *endpoints, struct error *err)
{
    const struct nats_address nats = nats_address_of(endpoints);

    endpoints->note_count = 0;
    if (is_set(endpoints->kafka_broker))
        note(endpoints, "KAFKA_BROKER is ignored: events go through NATS JetStream (NATS_URL)");
    return nats_address_check(&nats, err) && resolve_postgres(endpoints, err) &&
           resolve_redis(endpoints, err);
}

void endpoints_tell_notes(const struct endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->note_count; i++)
        log_warn("setting_ignored", "why=\"%s\"", endpoints->notes[i]);
}

/* What libpq understands; a DSN made for another driver may hold more. */
static bool is_keyword(const char *word, size_t size)
{
    PQconninfoOption *options = PQconndefaults();
    bool found = options == NULL; /* no memory: libpq itself decides later */

    for (PQconninfoOption *each = options; !found && each != NULL && each->keyword != NULL; each++)
        found = strlen(each->keyword) == size && memcmp(each->keyword, word, size) == 0;
    PQconninfoFree(options);
    return found;
}

/* Text with a limit. */
struct cursor {
    char *at;
    size_t left;
    bool failed;    /* it did not fit */
    bool malformed; /* what was copied is no address */
};

static void append(struct cursor *out, const char *bytes, size_t size)
{
    if (out->failed || size >= out->left) {
        out->failed = true;
        return;
    }
    memcpy(out->at, bytes, size);
    out->at += size;
    out->left -= size;
    *out->at = '\0';
}

/* Only what looks like a name is shown: anything else may be a piece of a password. */
static void drop_keyword(struct endpoints *endpoints, const char *name, const char *key,
                         size_t size, struct cursor *out)
{
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)key[i]) && key[i] != '_')
            out->malformed = true;
    }
    if (!out->malformed)
        note(endpoints, "%s: %.*s is not a setting of PostgreSQL's client and is left out", name,
             (int)(size < 40 ? size : 40), key);
}

/* postgres://...?key=value&key=value: keeps the keys that libpq knows. */
static void copy_url(struct endpoints *endpoints, const char *name, const char *url,
                     struct cursor *out)
{
    size_t base_size = strcspn(url, "?");
    const char *each = url + base_size;
    char separator = '?';

    append(out, url, base_size);
    out->malformed = strchr(each, '@') != NULL; /* a password with a bare question mark */
    while (*each != '\0') {
        size_t pair_size = strcspn(++each, "&");
        size_t key_size = strcspn(each, "=&");

        if (key_size > 0 && is_keyword(each, key_size)) {
            append(out, &separator, 1);
            append(out, each, pair_size);
            separator = '&';
        } else if (key_size > 0) {
            drop_keyword(endpoints, name, each, key_size, out);
        }
        each += pair_size;
    }
}

static const char blanks[] = " \t\r\n";

/* The end of a value: 'quoted' or up to a blank, \ escapes in both. NULL: a quote without an end.
 */
static const char *skip_value(const char *at)
{
    bool is_quoted = *at == '\'';

    if (is_quoted)
        at++;
    while (*at != '\0' && (is_quoted ? *at != '\'' : strchr(blanks, *at) == NULL))
        at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    if (!is_quoted)
        return at;
    return *at == '\'' ? at + 1 : NULL;
}

/* host=... password='...' TimeZone=UTC: keeps the keys that libpq knows. */
static void copy_pairs(struct endpoints *endpoints, const char *name, const char *text,
                       struct cursor *out)
{
    const char *key = text + strspn(text, blanks);

    while (*key != '\0') {
        size_t key_size = strcspn(key, "= \t\r\n");
        const char *value = key + key_size + strspn(key + key_size, blanks);
        const char *end;

        if (*value != '=') { /* it may be a piece of a password with a blank in it */
            out->malformed = true;
            return;
        }
        value++;
        value += strspn(value, blanks);
        end = skip_value(value);
        if (end == NULL) { /* left out, it would take all that follows with it */
            out->malformed = true;
            return;
        }
        if (is_keyword(key, key_size)) {
            append(out, key, (size_t)(end - key));
            append(out, " ", 1);
        } else {
            drop_keyword(endpoints, name, key, key_size, out);
        }
        key = end + strspn(end, blanks);
    }
}

static bool is_postgres_url(const char *text)
{
    return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}

/* libpq's own message may quote a password, so that it is not shown. */
static bool is_conninfo(const char *text)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(text, &message);
    bool is_valid = options != NULL;

    PQconninfoFree(options);
    PQfreemem(message);
    return is_valid;
}

static bool build_postgres(struct endpoints *endpoints, struct error *err)
{
    char host[256];
    char user[128];
    char password[256];
    char database[128];
    bool has_password = is_set(endpoints->postgres_password);
    int size;

    if (!percent_encode(endpoints->postgres_host, host, sizeof(host)) ||
        !percent_encode(endpoints->postgres_user, user, sizeof(user)) ||
        !percent_encode(endpoints->postgres_db, database, sizeof(database)) ||
        !percent_encode(has_password ? endpoints->postgres_password : "", password,
                        sizeof(password)))
        return error_set(err, ERROR_INVALID, "POSTGRES_*: a value is too long");
    size = snprintf(endpoints->postgres, sizeof(endpoints->postgres), "postgres://%s%s%s@%s:%d/%s",
                    user, has_password ? ":" : "", password, host, (int)endpoints->postgres_port,
                    database);
    if (size >= (int)sizeof(endpoints->postgres))
        return error_set(err, ERROR_INVALID, "POSTGRES_*: the values are too long");
    return true;
}

static bool resolve_postgres(struct endpoints *endpoints, struct error *err)
{
    const char *name = is_set(endpoints->database_url) ? "DATABASE_URL" : "DB_DSN";
    const char *text =
        is_set(endpoints->database_url) ? endpoints->database_url : endpoints->db_dsn;
    struct cursor out = {endpoints->postgres, sizeof(endpoints->postgres), false, false};

    endpoints->postgres[0] = '\0';
    if (!is_set(text) && endpoints->postgres_host == NULL)
        return true; /* the service has no such rows */
    if (!is_set(text))
        return build_postgres(endpoints, err);
    if (is_postgres_url(text))
        copy_url(endpoints, name, text, &out);
    else if (strchr(text, '=') != NULL)
        copy_pairs(endpoints, name, text, &out);
    if (out.failed)
        return error_set(err, ERROR_INVALID, "%s: longer than %d bytes", name, ENDPOINT_MAX - 1);
    if (out.malformed || endpoints->postgres[0] == '\0' || !is_conninfo(endpoints->postgres))
        return error_set(err, ERROR_INVALID,
                         "%s: must be postgres://user:password@host:port/database or "
                         "host=... user=... dbname=...",
                         name);
    return true;
}

/* redis://[:password@]host:port/db; address is host:port already. An "@" in it would make what
 * stands before it a part of the password. */
static bool build_redis(struct endpoints *endpoints, const char *address, struct error *err)
{
    char password[512];
    bool has_password = is_set(endpoints->redis_password);
    int size;

    if (strchr(address, '@') != NULL)
        return error_set(err, ERROR_INVALID, "must be host:port, without a user or password");
    if (!percent_encode(has_password ? endpoints->redis_password : "", password, sizeof(password)))
        return error_set(err, ERROR_INVALID, "REDIS_PASSWORD: too long");
    size = snprintf(endpoints->redis, sizeof(endpoints->redis), "redis://%s%s%s%s/%d",
                    has_password ? ":" : "", password, has_password ? "@" : "", address,
                    (int)endpoints->redis_db);
    if (size >= (int)sizeof(endpoints->redis))
        return error_set(err, ERROR_INVALID, "REDIS_*: the values are too long");
    return true;
}

static bool copy_redis_url(struct endpoints *endpoints, const char *url, struct error *err)
{
    struct cursor out = {endpoints->redis, sizeof(endpoints->redis), false, false};

    append(&out, url, strlen(url));
    if (out.failed)
        return error_set(err, ERROR_INVALID, "longer than %d bytes", ENDPOINT_MAX - 1);
    return true;
}

static bool resolve_redis(struct endpoints *endpoints, struct error *err)
{
    const char *host = endpoints->redis_host;
    const char *name = "REDIS_HOST";
    struct redis_address address;
    char pair[300];
    bool is_built;

    endpoints->redis[0] = '\0';
    if (is_set(endpoints->redis_url)) {
        name = "REDIS_URL";
        is_built = copy_redis_url(endpoints, endpoints->redis_url, err);
    } else if (is_set(endpoints->redis_addr)) {
        name = "REDIS_ADDR";
        is_built = strstr(endpoints->redis_addr, "://") != NULL
                       ? copy_redis_url(endpoints, endpoints->redis_addr, err)
                       : build_redis(endpoints, endpoints->redis_addr, err);
    } else if (host != NULL) {
        bool is_v6 = strchr(host, ':') != NULL && host[0] != '[';

        snprintf(pair, sizeof(pair), "%s%s%s:%d", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                 (int)endpoints->redis_port);
        is_built = build_redis(endpoints, pair, err);
    } else {
        return true; /* the service has no such rows */
    }
    if (!is_built || !redis_address_parse(endpoints->redis, 0, &address, err))
        return error_wrap(err, name);
    return true;
}

static struct nats_address nats_address_of(const struct endpoints *endpoints)
{
    return (struct nats_address){.urls = endpoints->nats_url,
                                 .ca = endpoints->nats_ca,
                                 .cert = endpoints->nats_cert,
                                 .key = endpoints->nats_key,
                                 .creds_file = endpoints->nats_creds_file};
}

/* What a resolved struct endpoints says of each server, to be freed with endpoint_text_free; NULL:
 * no memory, or the service has no such rows. */
static char *nats_of(const struct endpoints *endpoints)
{
    const struct nats_address address = nats_address_of(endpoints);

    return address.urls == NULL ? NULL : nats_address_join(&address);
}

static char *postgres_of(const struct endpoints *endpoints)
{
    return endpoints->postgres[0] == '\0' ? NULL : strdup(endpoints->postgres);
}

static char *redis_of(const struct endpoints *endpoints)
{
    return endpoints->redis[0] == '\0' ? NULL : strdup(endpoints->redis);
}

static bool open_one(struct endpoint **out, bool has_rows, char *taken, struct error *err)
{
    AUTO(endpoint_text_free) char *text = taken;

    if (!has_rows)
        return true;
    if (text == NULL)
        return error_set(err, ERROR_LIMIT, "endpoints: no memory");
    *out = endpoint_new(text, err);
    return *out != NULL;
}

bool endpoints_open(struct endpoints *endpoints, struct error *err)
{
    return open_one(&endpoints->live.nats, endpoints->nats_url != NULL, nats_of(endpoints), err) &&
           open_one(&endpoints->live.postgres, endpoints->postgres[0] != '\0',
                    postgres_of(endpoints), err) &&
           open_one(&endpoints->live.redis, endpoints->redis[0] != '\0', redis_of(endpoints), err);
}

void endpoints_close(struct endpoints *endpoints)
{
    endpoint_free(&endpoints->live.nats);
    endpoint_free(&endpoints->live.postgres);
    endpoint_free(&endpoints->live.redis);
}

bool endpoints_take_up(const struct endpoints *running, const struct endpoints *fresh,
                       struct error *err)
{
    struct {
        const char *name;
        struct endpoint *endpoint;
        char *text;
    } rows[] = {{"nats", running->live.nats, nats_of(fresh)},
                {"postgres", running->live.postgres, postgres_of(fresh)},
                {"redis", running->live.redis, redis_of(fresh)}};
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    bool has_memory = true;

    for (size_t i = 0; i < ROWS; i++)
        has_memory = has_memory && (rows[i].endpoint == NULL || rows[i].text != NULL);
    for (size_t i = 0; i < ROWS; i++) {
        if (has_memory && rows[i].endpoint != NULL &&
            endpoint_swap(rows[i].endpoint, &rows[i].text))
            log_info("endpoint_changed", "name=%s", rows[i].name);
        endpoint_text_free(&rows[i].text);
    }
    return has_memory || error_set(err, ERROR_LIMIT, "endpoints: no memory");
}
