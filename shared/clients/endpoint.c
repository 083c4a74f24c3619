#include "clients/endpoint.h"

#include "base/auto.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct endpoint {
    pthread_mutex_t lock;
    char *text; /* guarded by lock, owned */
    _Atomic uint64_t version;
};

struct endpoint *endpoint_new(const char *text, struct error *err)
{
    struct endpoint *self = calloc(1, sizeof(*self));

    if (self != NULL)
        self->text = strdup(text);
    if (self == NULL || self->text == NULL) {
        free(self);
        (void)error_set(err, ERROR_LIMIT, "endpoint: no memory");
        return NULL;
    }
    pthread_mutex_init(&self->lock, NULL);
    atomic_init(&self->version, 1);
    return self;
}

void endpoint_free(struct endpoint **endpoint)
{
    struct endpoint *self = TAKE(*endpoint);

    if (self == NULL)
        return;
    endpoint_text_free(&self->text);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

char *endpoint_get(struct endpoint *endpoint, uint64_t *out_version)
{
    char *copy;

    pthread_mutex_lock(&endpoint->lock);
    copy = strdup(endpoint->text);
    if (out_version != NULL)
        *out_version = atomic_load(&endpoint->version);
    pthread_mutex_unlock(&endpoint->lock);
    return copy;
}

uint64_t endpoint_version(const struct endpoint *endpoint)
{
    return atomic_load(&endpoint->version);
}

bool endpoint_swap(struct endpoint *endpoint, char **text)
{
    char *before;
    bool is_new;

    pthread_mutex_lock(&endpoint->lock);
    before = endpoint->text;
    is_new = strcmp(before, *text) != 0;
    if (is_new) {
        endpoint->text = *text;
        *text = before;
        atomic_fetch_add(&endpoint->version, 1);
    }
    pthread_mutex_unlock(&endpoint->lock);
    return is_new;
}

void endpoint_text_free(char **text)
{
    char *taken = TAKE(*text);

    if (taken == NULL)
        return;
    explicit_bzero(taken, strlen(taken));
    free(taken);
}
