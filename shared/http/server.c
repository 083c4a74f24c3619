#include "http/server_private.h"

#include "base/auto.h"
#include "http/cors.h"
#include "http/http_metrics.h"
#include "http/listener.h"
#include "http/route_table.h"
#include <assert.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

/* Closed, but a request outlived the drain and may still be answered: kept until the process ends,
 * where a leak checker finds it. */
static _Atomic(struct server *) left_overs;

/* Opening, in this order. */
static bool configure(struct server *self, struct error *err);
static bool listen_all(struct server *self, struct error *err);
static bool start_all(struct server *self, struct error *err);

static struct server *server_new(const struct server_options *options)
{
    AUTO(server_close) struct server *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->options = *options;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->start_done, NULL);
    h2o_config_init(&self->config);
    self->threads = calloc((size_t)options->threads, sizeof(*self->threads));
    self->privates = calloc((size_t)options->threads, sizeof(*self->privates));
    if (self->threads == NULL || self->privates == NULL)
        return NULL;
    for (int i = 0; i < options->threads; i++) {
        self->threads[i].index = i;
        self->threads[i].server = self;
        self->threads[i].private = &self->privates[i];
        self->privates[i].listen_fd = -1;
        self->privates[i].refuser.reserve_fd = -1;
    }
    return TAKE(self);
}

struct server *server_open(const struct server_options *options, struct error *err)
{
    AUTO(server_close) struct server *self = NULL;

    assert(options->threads > 0 && options->threads <= THREADS_MAX);
    self = server_new(options);
    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "http: no memory for a server");
        return NULL;
    }
    if (!configure(self, err) || !listen_all(self, err) || !start_all(self, err))
        return NULL;
    return TAKE(self);
}

/*
 * h2o has one timer for a connection that waits for a request: it covers the idle time and the
 * request's own, and connections_end_slow ends a request that takes more than its share. A chunked
 * body of exactly the limit is refused, hence the + 1: the routes check the real limits.
 */
static bool configure(struct server *self, struct error *err)
{
    const struct server_options *options = &self->options;
    h2o_hostconf_t *host;

    self->cors = cors_new(options->cors_origins, err);
    if (self->cors == NULL)
        return false;
    self->routes = route_table_new(options->routes, err);
    if (self->routes == NULL)
        return false;
    self->metrics = http_metrics_new(self->routes, err);
    if (self->metrics == NULL)
        return false;
    self->config.server_name = h2o_iovec_init(NULL, 0);
    self->config.max_request_entity_size = options->body_max_bytes + 1;
    self->config.http1.upgrade_to_http2 = 0;
    self->config.http1.req_timeout =
        (uint64_t)options->idle_timeout_ms + (uint64_t)options->request_timeout_ms;
    host = h2o_config_register_host(&self->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    routes_register(host, self->routes, self->metrics);
    return true;
}

static bool listen_all(struct server *self, struct error *err)
{
    struct server_options *options = &self->options;

    if (!listener_claim(options->host, &options->port, err))
        return false;
    for (int i = 0; i < options->threads; i++) {
        self->privates[i].listen_fd =
            listener_open(options->host, options->port, options->request_timeout_ms, err);
        if (self->privates[i].listen_fd < 0 || !refuser_open(&self->privates[i].refuser, err))
            return false;
    }
    return true;
}

static bool start_all(struct server *self, struct error *err)
{
    int created = 0;

    for (; created < self->options.threads; created++) {
        struct server_thread_private *mine = &self->privates[created];

        if (pthread_create(&mine->pthread, NULL, server_on_thread, &self->threads[created]) != 0)
            break;
        mine->is_started = true;
    }
    pthread_mutex_lock(&self->lock);
    while (self->started_count < created)
        pthread_cond_wait(&self->start_done, &self->lock);
    pthread_mutex_unlock(&self->lock);
    if (self->start_error.kind != ERROR_NONE) {
        *err = self->start_error;
        return false;
    }
    if (created < self->options.threads)
        return error_set(err, ERROR_LIMIT, "http: cannot start thread %d", created);
    return true;
}

void server_drain(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    if (!atomic_exchange(&server->is_draining, true)) {
        for (int i = 0; i < server->options.threads; i++) {
            if (server->privates[i].can_be_woken)
                h2o_multithread_send_message(&server->privates[i].wake, NULL);
        }
    }
    pthread_mutex_unlock(&server->lock);
    for (int i = 0; i < server->options.threads; i++) {
        struct server_thread_private *mine = &server->privates[i];

        if (!mine->is_started)
            continue;
        pthread_join(mine->pthread, NULL);
        mine->is_started = false;
    }
}

void server_close(struct server **server)
{
    struct server *self = *server;

    *server = NULL;
    if (self == NULL)
        return;
    if (self->threads != NULL && self->privates != NULL)
        server_drain(self);
    if (atomic_load(&self->has_left_overs)) {
        self->next_left_over = atomic_exchange(&left_overs, self);
        return;
    }
    for (int i = 0; self->privates != NULL && i < self->options.threads; i++) {
        if (self->privates[i].listen_fd >= 0)
            close(self->privates[i].listen_fd);
        refuser_close(&self->privates[i].refuser);
    }
    h2o_config_dispose(&self->config);
    http_metrics_free(&self->metrics);
    route_table_free(&self->routes);
    cors_free(&self->cors);
    pthread_cond_destroy(&self->start_done);
    pthread_mutex_destroy(&self->lock);
    free(self->threads);
    free(self->privates);
    free(self);
}

bool server_admits(h2o_req_t *req, const struct route *route)
{
    const struct server_options *options = &server_thread_of(req)->server->options;

    return options->on_admit == NULL || options->on_admit(options->ctx, req, route);
}

int server_connections(const struct server *server)
{
    return atomic_load_explicit(&server->connections, memory_order_relaxed);
}

int server_port(const struct server *server)
{
    return server->options.port;
}

const struct cors *server_cors(const struct server *server)
{
    return server->cors;
}

const struct route_table *server_routes(const struct server *server)
{
    return server->routes;
}

#if defined(__SANITIZE_ADDRESS__)
#define HAS_LEAK_CHECKER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECKER 1
#endif
#endif

#ifdef HAS_LEAK_CHECKER
/* Leaks of h2o 2.2.5 that no caller can free: the struct of a destroyed message queue, and the
 * blocks that an ended thread kept for reuse. The sanitizer's run time asks for them by this name.
 */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_multithread_create_queue\nleak:h2o_mem_alloc_recycle\n";
}
#endif
