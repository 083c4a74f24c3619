#include "http/route_table.h"

#include "base/auto.h"
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct route_table {
    size_t path_count;
    struct route_path *paths; /* owned; in the order of their first rows */
    size_t bucket_mask;
    uint32_t *buckets; /* owned; open addressing of the literal paths: index + 1, 0 is free */
};

static bool add_row(struct route_table *self, const struct route *row, struct error *err);
static void index_literals(struct route_table *self);
static const struct route_path *find_literal(const struct route_table *self, const char *path,
                                             size_t size_bytes);
static bool is_match(const struct route_path *self, const char *path, size_t size_bytes,
                     h2o_iovec_t out_segments[ROUTE_PARAMS_MAX]);

static size_t count_rows(const struct route *routes)
{
    size_t count = 0;

    while (routes[count].path != NULL)
        count++;
    return count;
}

struct route_table *route_table_new(const struct route *routes, struct error *err)
{
    AUTO(route_table_free) struct route_table *self = calloc(1, sizeof(*self));
    const size_t row_count = count_rows(routes);
    size_t bucket_count = 16;

    while (bucket_count < 2 * row_count)
        bucket_count *= 2;
    if (self != NULL) {
        self->paths = calloc(row_count + 1, sizeof(*self->paths));
        self->buckets = calloc(bucket_count, sizeof(*self->buckets));
        self->bucket_mask = bucket_count - 1;
    }
    if (self == NULL || self->paths == NULL || self->buckets == NULL) {
        error_set(err, ERROR_LIMIT, "routes: no memory for %zu rows", row_count);
        return NULL;
    }
    for (size_t i = 0; i < row_count; i++) {
        if (!add_row(self, &routes[i], err))
            return NULL;
    }
    index_literals(self);
    return TAKE(self);
}

void route_table_free(struct route_table **table)
{
    if (*table == NULL)
        return;
    free((*table)->paths);
    free((*table)->buckets);
    free(*table);
    *table = NULL;
}

static struct route_path *get_path(struct route_table *self, const char *text)
{
    for (size_t i = 0; i < self->path_count; i++) {
        if (strcmp(self->paths[i].text, text) == 0)
            return &self->paths[i];
    }

    struct route_path *path = &self->paths[self->path_count];

    path->text = text;
    path->size_bytes = strlen(text);
    path->index = self->path_count++;
    path->is_template = strchr(text, '{') != NULL;
    return path;
}

static size_t count_segments(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '{';
    return count;
}

/* OPTIONS is always answered, HEAD wherever GET is. */
static void write_allow(struct route_path *path)
{
    size_t size = 0;

    for (size_t i = 0; i < path->route_count; i++) {
        const char *method = path->routes[i]->method;
        const char *head = strcmp(method, "GET") == 0 ? "HEAD, " : "";

        size += (size_t)snprintf(path->allow + size, sizeof(path->allow) - size, "%s, %s", method,
                                 head);
        assert(size < sizeof(path->allow)); /* no method has so long a name */
    }
    size += (size_t)snprintf(path->allow + size, sizeof(path->allow) - size, "OPTIONS");
    path->allow_size = size;
}

static bool add_row(struct route_table *self, const struct route *row, struct error *err)
{
    struct route_path *path;

    if (row->path[0] != '/' || count_segments(row->path) > ROUTE_PARAMS_MAX)
        return error_set(err, ERROR_INTERNAL,
                         "routes: \"%s\" must begin with / and have at most %d {segments}",
                         row->path, ROUTE_PARAMS_MAX);
    path = get_path(self, row->path);
    if (path->route_count == ROUTE_METHODS_MAX)
        return error_set(err, ERROR_INTERNAL, "routes: \"%s\" has too many methods", row->path);
    for (size_t i = 0; i < path->route_count; i++) {
        if (strcmp(path->routes[i]->method, row->method) == 0)
            return error_set(err, ERROR_INTERNAL, "routes: %s %s is there twice", row->method,
                             row->path);
    }
    path->routes[path->route_count++] = row;
    write_allow(path);
    return true;
}

/* FNV-1a: paths are short, and the table is small enough that its quality does not matter. */
static size_t hash(const char *bytes, size_t size_bytes)
{
    uint64_t value = 14695981039346656037U;

    for (size_t i = 0; i < size_bytes; i++)
        value = (value ^ (uint8_t)bytes[i]) * 1099511628211U;
    return (size_t)(value ^ (value >> 32));
}

static void index_literals(struct route_table *self)
{
    for (size_t i = 0; i < self->path_count; i++) {
        const struct route_path *path = &self->paths[i];
        size_t bucket = hash(path->text, path->size_bytes) & self->bucket_mask;

        if (path->is_template)
            continue;
        while (self->buckets[bucket] != 0)
            bucket = (bucket + 1) & self->bucket_mask;
        self->buckets[bucket] = (uint32_t)(i + 1);
    }
}

const struct route_path *route_table_find(const struct route_table *table, const char *path,
                                          size_t size_bytes,
                                          h2o_iovec_t out_segments[ROUTE_PARAMS_MAX])
{
    const struct route_path *literal = find_literal(table, path, size_bytes);

    if (literal != NULL)
        return literal;
    for (size_t i = 0; i < table->path_count; i++) {
        if (table->paths[i].is_template &&
            is_match(&table->paths[i], path, size_bytes, out_segments))
            return &table->paths[i];
    }
    return NULL;
}

static const struct route_path *find_literal(const struct route_table *self, const char *path,
                                             size_t size_bytes)
{
    size_t bucket = hash(path, size_bytes) & self->bucket_mask;

    for (; self->buckets[bucket] != 0; bucket = (bucket + 1) & self->bucket_mask) {
        const struct route_path *candidate = &self->paths[self->buckets[bucket] - 1];

        if (candidate->size_bytes == size_bytes && memcmp(candidate->text, path, size_bytes) == 0)
            return candidate;
    }
    return NULL;
}

static size_t segment_size(const char *path, size_t size_bytes)
{
    const char *slash = memchr(path, '/', size_bytes);

    return slash == NULL ? size_bytes : (size_t)(slash - path);
}

/* A {segment} may have literal text after it: "/ads/{id}.gif"; it takes what is before that. */
static bool is_segment_match(h2o_iovec_t pattern, h2o_iovec_t segment, h2o_iovec_t *out_value)
{
    const char *brace = memchr(pattern.base, '}', pattern.len);

    if (brace == NULL || pattern.base[0] != '{') {
        *out_value = h2o_iovec_init(NULL, 0);
        return h2o_memis(pattern.base, pattern.len, segment.base, segment.len);
    }

    const size_t suffix = pattern.len - (size_t)(brace + 1 - pattern.base);

    *out_value = h2o_iovec_init(segment.base, segment.len - suffix);
    return segment.len > suffix &&
           memcmp(brace + 1, segment.base + segment.len - suffix, suffix) == 0;
}

static bool is_match(const struct route_path *self, const char *path, size_t size_bytes,
                     h2o_iovec_t out_segments[ROUTE_PARAMS_MAX])
{
    const char *text = self->text;
    size_t text_left = self->size_bytes;
    size_t segment_count = 0;

    while (text_left > 0 && size_bytes > 0 && *text == '/' && *path == '/') {
        h2o_iovec_t pattern = h2o_iovec_init(text + 1, segment_size(text + 1, text_left - 1));
        h2o_iovec_t segment = h2o_iovec_init(path + 1, segment_size(path + 1, size_bytes - 1));
        h2o_iovec_t value;

        if (!is_segment_match(pattern, segment, &value))
            return false;
        if (value.base != NULL)
            out_segments[segment_count++] = value;
        text += pattern.len + 1;
        text_left -= pattern.len + 1;
        path += segment.len + 1;
        size_bytes -= segment.len + 1;
    }
    if (segment_count < ROUTE_PARAMS_MAX) /* a path that was tried before may have written here */
        out_segments[segment_count] = h2o_iovec_init(NULL, 0);
    return text_left == 0 && size_bytes == 0;
}

const struct route *route_path_find_method(const struct route_path *path, const char *method,
                                           size_t size_bytes)
{
    const bool is_head = h2o_memis(method, size_bytes, H2O_STRLIT("HEAD"));

    if (is_head) {
        method = "GET";
        size_bytes = 3;
    }
    for (size_t i = 0; i < path->route_count; i++) {
        const char *name = path->routes[i]->method;

        if (strlen(name) == size_bytes && memcmp(name, method, size_bytes) == 0)
            return path->routes[i];
    }
    return NULL;
}

size_t route_table_path_count(const struct route_table *table)
{
    return table->path_count;
}

const struct route_path *route_table_get_path(const struct route_table *table, size_t index)
{
    return &table->paths[index];
}
