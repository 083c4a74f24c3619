#include "http/cors.h"

#include "base/auto.h"
#include <string.h>

struct cors {
    bool is_any;
    size_t count;
    char *text; /* owned; the origins point into it */
    const char *origins[CORS_ORIGINS_MAX];
    size_t sizes[CORS_ORIGINS_MAX];
};

static bool add(struct cors *self, char *origin, struct error *err);

struct cors *cors_new(const char *text, struct error *err)
{
    AUTO(cors_free) struct cors *self = calloc(1, sizeof(*self));
    char *rest = NULL;

    if (self == NULL || (self->text = strdup(text == NULL ? "" : text)) == NULL) {
        error_set(err, ERROR_LIMIT, "cors: no memory");
        return NULL;
    }
    for (char *entry = strtok_r(self->text, ", \t", &rest); entry != NULL;
         entry = strtok_r(NULL, ", \t", &rest)) {
        if (!add(self, entry, err))
            return NULL;
    }
    return TAKE(self);
}

void cors_free(struct cors **cors)
{
    if (*cors == NULL)
        return;
    free((*cors)->text);
    free(*cors);
    *cors = NULL;
}

/* An origin is scheme://host[:port] without a path, or the word null. */
static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");

    if (strcmp(text, "null") == 0)
        return true;
    return host != NULL && host != text && host[3] != '\0' && strchr(host + 3, '/') == NULL;
}

static bool add(struct cors *self, char *origin, struct error *err)
{
    if (strcmp(origin, "*") == 0) {
        self->is_any = true;
        return true;
    }
    if (!is_origin(origin))
        return error_set(err, ERROR_INVALID,
                         "cors: \"%.80s\" is no origin: write it like https://example.org", origin);
    if (self->count == CORS_ORIGINS_MAX)
        return error_set(err, ERROR_INVALID, "cors: more than %d origins", CORS_ORIGINS_MAX);
    self->origins[self->count] = origin;
    self->sizes[self->count++] = strlen(origin);
    return true;
}

bool cors_is_any(const struct cors *cors)
{
    return cors->is_any;
}

bool cors_differs(const struct cors *cors)
{
    return !cors->is_any && cors->count > 0;
}

bool cors_allows(const struct cors *cors, const char *origin, size_t size_bytes)
{
    if (cors->is_any)
        return true;
    for (size_t i = 0; i < cors->count; i++) {
        if (cors->sizes[i] == size_bytes && memcmp(cors->origins[i], origin, size_bytes) == 0)
            return true;
    }
    return false;
}
