#include "admission.h"

#include "access.h"
#include "gateway.h"
#include "http/request.h"
#include "http/respond.h"
#include "intake.h"
#include "metrics.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>

enum {
    KEY_PLACES = 16 * AUTH_KEYS_MAX, /* no set of the table ever has too many keys */
    HEADER_MAX = 96,
    IPV6_NETWORK_BYTES = 8,
};

enum limited { LIMITED_CLIENT, LIMITED_KEY };
static const char *const limited_names[] = {"client", "key"};

/* What is known of a request's caller; in the request's pool, reached by request->caller. */
struct caller {
    unsigned grants;
    enum limited kind;
    uint64_t hash;
    struct rate rate; /* rps 0: not limited */
};

static struct credentials read_credentials(const h2o_req_t *req);
static void identify(h2o_req_t *req, const struct auth_key *key, struct caller *out);
static bool take_token(h2o_req_t *req, const struct caller *caller);
static bool answer_verdict(h2o_req_t *req, const struct credentials *credentials,
                           const struct access_answer *answer);

bool admission_open(struct admission *self, const struct settings *settings, struct error *err)
{
    struct access *first = access_new(settings, err);

    if (first == NULL)
        return false;
    self->board = access_board_new(&first, err);
    access_free(&first);
    if (self->board == NULL)
        return false;
    self->clients = rate_limiter_new((size_t)settings->rate_limit_clients_max, err);
    self->keys = self->clients == NULL ? NULL : rate_limiter_new(KEY_PLACES, err);
    if (self->keys == NULL)
        return false;
    gateway_set(GATEWAY_rate_limit_clients_max, (double)rate_limiter_places(self->clients));
    return true;
}

void admission_close(struct admission *self)
{
    access_board_free(&self->board);
    rate_limiter_free(&self->clients);
    rate_limiter_free(&self->keys);
}

void admission_take_up(struct admission *self, struct access **access)
{
    access_publish(self->board, access);
}

void admission_turn(struct gateway_thread *thread)
{
    struct admission *self = thread->gateway->admission;
    size_t used;

    access_take(self->board, &thread->access);
    if (thread->server->index != 0)
        return;
    used = rate_limiter_places_used(self->clients);
    if (used != thread->rate_limit_clients)
        gateway_set(GATEWAY_rate_limit_clients, (double)used);
    thread->rate_limit_clients = used;
}

bool admission_check(void *ctx, h2o_req_t *req, const struct route *route)
{
    const struct access *access = gateway_thread_of(req)->access;
    struct credentials credentials;
    const struct auth_key *key;
    struct access_answer answer;
    struct caller *caller;

    (void)ctx;
    if ((route->flags & ROUTE_OPS) != 0 ||
        (access_is_open(access) && (route->flags & (ROUTE_SERVER | ROUTE_ADMIN)) == 0))
        return true;
    credentials = read_credentials(req);
    key = access_find_key(access, &credentials);
    caller = h2o_mem_alloc_pool(&req->pool, sizeof(*caller));
    identify(req, key, caller);
    request_of(req)->caller = caller;
    if (!take_token(req, caller))
        return false;
    answer = access_judge(access, route->flags, &credentials, key, server_thread_of(req)->at_ms);
    caller->grants = answer.grants;
    return answer_verdict(req, &credentials, &answer);
}

static struct credentials read_credentials(const h2o_req_t *req)
{
    static const char key_name[] = "x-api-key";
    struct credentials credentials = {.text = NULL};

    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *header = &req->headers.entries[i];

        if (header->name == &H2O_TOKEN_AUTHORIZATION->buf)
            credentials_add_authorization(&credentials, header->value.base, header->value.len);
        else if (header->name->len == sizeof(key_name) - 1 &&
                 memcmp(header->name->base, key_name, sizeof(key_name) - 1) == 0)
            credentials_add_key(&credentials, header->value.base, header->value.len);
    }
    return credentials;
}

static void identify(h2o_req_t *req, const struct auth_key *key, struct caller *out)
{
    const struct gateway_thread *thread = gateway_thread_of(req);
    const struct admission *admission = thread->gateway->admission;
    struct event_ip ip;

    *out = (struct caller){.kind = LIMITED_CLIENT};
    if (key != NULL) {
        out->kind = LIMITED_KEY;
        out->rate = access_key_rate(thread->access, key);
        out->hash = rate_limiter_hash(admission->keys, key->name, strlen(key->name));
        return;
    }
    out->rate = *access_client_rate(thread->access);
    if (out->rate.rps == 0)
        return;
    ip = intake_client_address(req);
    /* A network is one customer's: each of its 2^64 addresses would else have a bucket. */
    out->hash = rate_limiter_hash(admission->clients, ip.bytes,
                                  ip.size == 16 ? IPV6_NETWORK_BYTES : ip.size);
}

static struct rate_limiter *limiter_of(h2o_req_t *req, const struct caller *caller)
{
    const struct admission *admission = gateway_thread_of(req)->gateway->admission;

    return caller->kind == LIMITED_KEY ? admission->keys : admission->clients;
}

static int64_t to_seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

static void add_header(h2o_req_t *req, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_header(h2o_req_t *req, const char *name, const char *format, ...)
{
    char *text = h2o_mem_alloc_pool(&req->pool, HEADER_MAX);
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(text, HEADER_MAX, format, args);
    va_end(args);
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 0, NULL, text,
                          (size_t)size);
}

static void refuse_rate(h2o_req_t *req, const struct caller *caller,
                        const struct rate_verdict *verdict)
{
    const char *kind = limited_names[caller->kind];
    const int64_t burst = caller->rate.burst > 0 ? caller->rate.burst : caller->rate.rps;
    const int64_t wait_s = to_seconds(verdict->wait_ms);
    struct faults faults = {0};

    /* A bucket of q tokens that fills in w seconds; r are left, and in t seconds there is one. */
    add_header(req, "ratelimit-policy", "\"%s\";q=%lld;w=%lld", kind, (long long)burst,
               (long long)((burst + caller->rate.rps - 1) / caller->rate.rps));
    add_header(req, "ratelimit", "\"%s\";r=%lld;t=%lld", kind, (long long)verdict->remaining,
               (long long)wait_s);
    gateway_count_by(GATEWAY_rate_limited_total, caller->kind, 1);
    fault_add(&faults, FAULT_RATE_LIMITED, "", "more than %lld requests a second by this %s",
              (long long)caller->rate.rps, kind);
    respond_faults(req, &faults, (int)wait_s);
}

static bool take_token(h2o_req_t *req, const struct caller *caller)
{
    struct rate_verdict verdict;

    if (caller->rate.rps == 0)
        return true;
    verdict = rate_limiter_take(limiter_of(req, caller), caller->hash, &caller->rate,
                                server_thread_of(req)->now_ms);
    if (verdict.has_evicted)
        gateway_count(GATEWAY_rate_limit_evictions_total, 1);
    if (!verdict.is_allowed)
        refuse_rate(req, caller, &verdict);
    return verdict.is_allowed;
}

static bool answer_verdict(h2o_req_t *req, const struct credentials *credentials,
                           const struct access_answer *answer)
{
    switch (answer->verdict) {
    case ACCESS_ALLOWED:
        return true;
    case ACCESS_UNAUTHORIZED:
        add_header(req, "www-authenticate", "Bearer realm=\"adledger\"%s",
                   credentials->text == NULL ? "" : ", error=\"invalid_token\"");
        gateway_count_by(GATEWAY_requests_refused_total, answer->verdict - ACCESS_UNAUTHORIZED, 1);
        respond_fault(req, FAULT_UNAUTHORIZED, "", "%s", answer->why);
        return false;
    case ACCESS_FORBIDDEN:
        gateway_count_by(GATEWAY_requests_refused_total, answer->verdict - ACCESS_UNAUTHORIZED, 1);
        respond_fault(req, FAULT_FORBIDDEN, "", "%s", answer->why);
        return false;
    }
    return false;
}

void admission_charge(h2o_req_t *req, int64_t tokens)
{
    const struct caller *caller = request_of(req)->caller;

    if (caller != NULL)
        rate_limiter_charge(limiter_of(req, caller), caller->hash, &caller->rate, tokens,
                            server_thread_of(req)->now_ms);
}

unsigned admission_grants(h2o_req_t *req)
{
    const struct caller *caller = request_of(req)->caller;

    return caller == NULL ? 0 : caller->grants;
}
