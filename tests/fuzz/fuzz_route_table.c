/* A path: the template that answers it, with its segments put back, is the path. */
#include "fuzz.h"

#include "http/route_table.h"

static void handle(h2o_req_t *req, const struct route_match *match)
{
    (void)req;
    (void)match;
}

static const struct route routes[] = {
    {"GET", "/", handle, 0, 0},
    {"GET", "/ads", handle, 0, 0},
    {"POST", "/ads", handle, 0, 0},
    {"GET", "/ads/analytics", handle, 0, 0},
    {"GET", "/ads/{id}", handle, 0, 0},
    {"DELETE", "/ads/{id}", handle, 0, 0},
    {"GET", "/ads/{id}/t/{type}", handle, 0, 0},
    {"GET", "/ads/{id}/{size}.gif", handle, 0, 0},
    {"GET", "/a/{x}/{y}/{z}", handle, 0, 0},
    {.path = NULL},
};

/* Walks template and path side by side; a {segment} stands for its value. */
static void check_template(const struct route_path *found, const char *path, size_t size,
                           const h2o_iovec_t *segments)
{
    const char *end = path + size;
    size_t used = 0;

    for (const char *text = found->text; *text != '\0'; text++) {
        if (*text != '{') {
            FUZZ_ASSERT(path < end && *path == *text);
            path++;
            continue;
        }
        FUZZ_ASSERT(used < ROUTE_PARAMS_MAX);
        FUZZ_ASSERT(segments[used].base == path && segments[used].len > 0);
        FUZZ_ASSERT(segments[used].len <= (size_t)(end - path));
        FUZZ_ASSERT(memchr(path, '/', segments[used].len) == NULL);
        path += segments[used++].len;
        text = strchr(text, '}');
    }
    FUZZ_ASSERT(path == end);
    FUZZ_ASSERT(used == ROUTE_PARAMS_MAX || segments[used].base == NULL);
}

static const struct route_path *find_by_text(const struct route_table *table, const char *path,
                                             size_t size)
{
    for (size_t i = 0; i < route_table_path_count(table); i++) {
        const struct route_path *each = route_table_get_path(table, i);

        if (!each->is_template && each->size_bytes == size && memcmp(each->text, path, size) == 0)
            return each;
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route_table *table;
    const char *path = (const char *)data;
    h2o_iovec_t segments[ROUTE_PARAMS_MAX] = {{NULL, 0}};
    const struct route_path *found;
    const struct route_path *literal;
    struct error err;

    if (table == NULL)
        table = route_table_new(routes, &err);
    FUZZ_ASSERT(table != NULL);
    found = route_table_find(table, path, size, segments);
    literal = find_by_text(table, path, size);
    FUZZ_ASSERT(literal == NULL || found == literal);
    if (found == NULL)
        return 0;
    FUZZ_ASSERT(found->is_template == (literal == NULL));
    check_template(found, path, size, segments);
    FUZZ_ASSERT(route_path_find_method(found, "HEAD", 4) ==
                route_path_find_method(found, "GET", 3));
    return 0;
}
