#include "access.h"

#include "base/auto.h"
#include "http/routes.h"
#include "jwt.h"
#include "settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { GUARDS = ROUTE_COLLECT | ROUTE_READ | ROUTE_SERVER | ROUTE_ADMIN };

struct access {
    atomic_int references;
    unsigned guarded; /* ROUTE_ flags that need a key */
    struct rate client_rate;
    struct auth_keys *keys; /* owned; NULL: none are configured */
    struct jwt *jwt;        /* owned; NULL: likewise */
};

struct access_board {
    pthread_mutex_t lock; /* so that the last reference is not dropped while one is taken */
    _Atomic(const struct access *) newest;
};

static bool load_keys(struct access *self, const struct settings *settings, struct error *err)
{
    if (settings->auth_keys == NULL)
        return true;
    self->keys = auth_keys_parse(settings->auth_keys, strlen(settings->auth_keys), err);
    return self->keys != NULL || error_wrap(err, "AUTH_KEYS_FILE");
}

static bool load_jwt(struct access *self, const struct settings *settings, struct error *err)
{
    const struct jwt_options options = {
        .alg = settings->auth_jwt_alg,
        .key = settings->auth_jwt_key,
        .issuer = settings->auth_jwt_issuer,
        .audience = settings->auth_jwt_audience,
        .leeway_s = settings->auth_jwt_leeway_s,
    };

    if (strcmp(settings->auth_jwt_alg, "off") == 0)
        return true;
    self->jwt = jwt_new(&options, err);
    return self->jwt != NULL;
}

struct access *access_new(const struct settings *settings, struct error *err)
{
    AUTO(access_free) struct access *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        (void)error_set(err, ERROR_LIMIT, "access: no memory");
        return NULL;
    }
    atomic_init(&self->references, 1);
    self->guarded = ROUTE_SERVER | ROUTE_ADMIN;
    self->guarded |= settings->require_collect_key ? ROUTE_COLLECT : 0;
    self->guarded |= settings->require_read_key ? ROUTE_READ : 0;
    self->client_rate = (struct rate){settings->rate_limit_rps, settings->rate_limit_burst};
    if (!load_keys(self, settings, err) || !load_jwt(self, settings, err))
        return NULL;
    return TAKE(self);
}

void access_free(struct access **access)
{
    if (*access == NULL)
        return;
    auth_keys_free(&(*access)->keys);
    jwt_free(&(*access)->jwt);
    free(*access);
    *access = NULL;
}

bool access_has_keys(const struct access *access)
{
    return access->keys != NULL || access->jwt != NULL;
}

bool access_is_open(const struct access *access)
{
    return !access_has_keys(access) && access->client_rate.rps == 0 &&
           (access->guarded & (ROUTE_COLLECT | ROUTE_READ)) == 0;
}

const struct rate *access_client_rate(const struct access *access)
{
    return &access->client_rate;
}

const struct auth_key *access_find_key(const struct access *access,
                                       const struct credentials *credentials)
{
    if (access->keys == NULL || credentials->text == NULL || credentials->is_malformed)
        return NULL;
    return auth_keys_find(access->keys, credentials->text, credentials->size);
}

struct rate access_key_rate(const struct access *access, const struct auth_key *key)
{
    struct rate rate = access->client_rate;

    if (key->rps >= 0)
        rate = (struct rate){.rps = key->rps};
    if (key->burst >= 0)
        rate.burst = key->burst;
    return rate;
}

static struct access_answer refuse(const char *why)
{
    return (struct access_answer){.verdict = ACCESS_UNAUTHORIZED, .why = why};
}

static struct access_answer judge_role(unsigned needed, enum role role)
{
    struct access_answer answer = {.verdict = ACCESS_ALLOWED, .grants = role_grants(role)};

    if ((needed & ~answer.grants) != 0) {
        answer.verdict = ACCESS_FORBIDDEN;
        answer.why = "the key's role does not allow this";
    }
    return answer;
}

struct access_answer access_judge(const struct access *access, unsigned route_flags,
                                  const struct credentials *credentials, const struct auth_key *key,
                                  int64_t at_ms)
{
    const unsigned needed = route_flags & GUARDS;
    const char *why;
    enum role role;

    if (credentials->text == NULL || !access_has_keys(access)) {
        if ((needed & access->guarded) == 0)
            return (struct access_answer){.verdict = ACCESS_ALLOWED};
        return refuse("a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY");
    }
    if (credentials->is_malformed)
        return refuse("the key is malformed, or two that differ were given");
    if (key != NULL)
        return judge_role(needed, key->role);
    if (access->jwt == NULL || !jwt_is_token(credentials->text, credentials->size))
        return refuse("the key is not known");
    why = jwt_check(access->jwt, credentials->text, credentials->size, at_ms, &role);
    return why == NULL ? judge_role(needed, role) : refuse(why);
}

struct access_board *access_board_new(struct access **first, struct error *err)
{
    struct access_board *self = calloc(1, sizeof(*self));

    if (self == NULL || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self);
        (void)error_set(err, ERROR_LIMIT, "access: no memory");
        return NULL;
    }
    atomic_init(&self->newest, TAKE(*first));
    return self;
}

void access_board_free(struct access_board **board)
{
    const struct access *newest;

    if (*board == NULL)
        return;
    newest = atomic_load(&(*board)->newest);
    access_drop(&newest);
    (void)pthread_mutex_destroy(&(*board)->lock);
    free(*board);
    *board = NULL;
}

void access_publish(struct access_board *board, struct access **access)
{
    const struct access *old;

    (void)pthread_mutex_lock(&board->lock);
    old = atomic_exchange(&board->newest, TAKE(*access));
    (void)pthread_mutex_unlock(&board->lock);
    access_drop(&old);
}

/* Only the count of a published snapshot changes, until the last reference is gone. */
static struct access *writable(const struct access *access)
{
    union {
        const struct access *shared;
        struct access *owned;
    } view = {.shared = access};

    return view.owned;
}

void access_take(struct access_board *board, const struct access **held)
{
    if (atomic_load_explicit(&board->newest, memory_order_acquire) == *held)
        return;
    access_drop(held);
    (void)pthread_mutex_lock(&board->lock);
    *held = atomic_load(&board->newest);
    (void)atomic_fetch_add(&writable(*held)->references, 1);
    (void)pthread_mutex_unlock(&board->lock);
}

void access_drop(const struct access **held)
{
    struct access *owned = writable(*held);

    *held = NULL;
    if (owned != NULL && atomic_fetch_sub(&owned->references, 1) == 1)
        access_free(&owned);
}
