#include "http/request.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

enum { ID_PREFIX_DIGITS = 12, ID_COUNTER_DIGITS = 12 };

/* The environment's key is compared by address: nothing else puts this one there. */
static char environment_key[] = "adledger.request";

/* Ids are unique by 48 random bits a thread and a counter: no system call a request. */
struct id_source {
    bool is_seeded;
    char prefix[ID_PREFIX_DIGITS];
    uint64_t next;
};
static _Thread_local struct id_source ids;

static void read_headers(struct request *self, const h2o_headers_t *headers);
static bool is_id(const char *text, size_t size_bytes);
static bool is_word(h2o_iovec_t value, const char *word);
static h2o_iovec_t make_id(h2o_mem_pool_t *pool);

struct request *request_new(h2o_req_t *req, int64_t now_us)
{
    struct request *self = h2o_mem_alloc_pool(&req->pool, sizeof(*self));

    memset(self, 0, sizeof(*self));
    self->started_us = now_us;
    self->is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    read_headers(self, &req->headers);
    if (self->id.len == 0)
        self->id = make_id(&req->pool);

    h2o_vector_reserve(&req->pool, &req->env, req->env.size + 2);
    req->env.entries[req->env.size++] =
        h2o_iovec_init(environment_key, sizeof(environment_key) - 1);
    req->env.entries[req->env.size++] = h2o_iovec_init(self, sizeof(*self));
    return self;
}

struct request *request_of(h2o_req_t *req)
{
    for (size_t i = 0; i + 1 < req->env.size; i += 2) {
        if (req->env.entries[i].base == environment_key)
            return (struct request *)(void *)req->env.entries[i + 1].base;
    }
    return NULL;
}

bool request_has_type(const struct request *request, const char *type)
{
    return is_word(request->content_type, type);
}

h2o_iovec_t request_query(const h2o_req_t *req)
{
    const size_t at = req->query_at == SIZE_MAX ? req->path.len : req->query_at + 1;

    return h2o_iovec_init(req->path.base + at, req->path.len - at);
}

static bool is_word(h2o_iovec_t value, const char *word)
{
    return value.len == strlen(word) && strncasecmp(value.base, word, value.len) == 0;
}

/* The type without its parameters: "application/json; charset=utf-8". */
static h2o_iovec_t media_type(h2o_iovec_t value)
{
    const char *semicolon = value.len == 0 ? NULL : memchr(value.base, ';', value.len);

    if (semicolon != NULL)
        value.len = (size_t)(semicolon - value.base);
    while (value.len > 0 && (value.base[value.len - 1] == ' ' || value.base[value.len - 1] == '\t'))
        value.len--;
    return value;
}

static bool is_named(const h2o_header_t *header, const char *name, size_t size_bytes)
{
    return header->name->len == size_bytes && memcmp(header->name->base, name, size_bytes) == 0;
}

/* h2o has lower-cased the names; those among its tokens are told by their address. */
static void read_headers(struct request *self, const h2o_headers_t *headers)
{
    for (size_t i = 0; i < headers->size; i++) {
        const h2o_header_t *header = &headers->entries[i];

        if (header->name == &H2O_TOKEN_CONTENT_TYPE->buf)
            self->content_type = media_type(header->value);
        else if (header->name == &H2O_TOKEN_CONTENT_ENCODING->buf)
            self->is_encoded |= header->value.len > 0 && !is_word(header->value, "identity");
        else if (is_named(header, H2O_STRLIT("origin")))
            self->origin = header->value;
        else if (is_named(header, H2O_STRLIT("x-request-id")) &&
                 is_id(header->value.base, header->value.len))
            self->id = header->value;
    }
}

static bool is_id_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool is_id(const char *text, size_t size_bytes)
{
    if (size_bytes == 0 || size_bytes > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < size_bytes; i++) {
        if (!is_id_character(text[i]))
            return false;
    }
    return true;
}

static void write_hex(char *out, size_t digits, uint64_t value)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = hex[value & 15];
        value >>= 4;
    }
}

static void seed(struct id_source *self)
{
    uint64_t random = 0;

    /* Before the kernel's pool is ready an address still tells processes and threads apart. */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = (uint64_t)(uintptr_t)self;
    write_hex(self->prefix, ID_PREFIX_DIGITS, random);
    self->is_seeded = true;
}

static h2o_iovec_t make_id(h2o_mem_pool_t *pool)
{
    char *id = h2o_mem_alloc_pool(pool, ID_PREFIX_DIGITS + ID_COUNTER_DIGITS);

    if (!ids.is_seeded)
        seed(&ids);
    memcpy(id, ids.prefix, ID_PREFIX_DIGITS);
    write_hex(id + ID_PREFIX_DIGITS, ID_COUNTER_DIGITS, ids.next++);
    return h2o_iovec_init(id, ID_PREFIX_DIGITS + ID_COUNTER_DIGITS);
}
