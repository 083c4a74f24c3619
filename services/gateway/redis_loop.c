#include "redis_loop_private.h"

#include "base/auto.h"
#include "clients/endpoint.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <fcntl.h>
#include <netdb.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_BASE_MS = 50, RETRY_CAP_MS = 3000 };

/* The connection's path; the definitions follow in this order. */
static void move(struct redis_loop *self, int64_t now_ms);
static void resolve(struct redis_loop *self, int64_t now_ms);
static void on_resolved(h2o_hostinfo_getaddr_req_t *req, const char *failure,
                        struct addrinfo *found, void *ctx);
static void attach(struct redis_loop *self);
static void on_connected(const redisAsyncContext *context, int status);
static void greet(struct redis_loop *self);
static void on_role(redisAsyncContext *context, void *reply, void *ctx);
static void on_greeted(redisAsyncContext *context, void *reply, void *ctx);
static void on_cleanup(void *ctx);
static void lose(struct redis_loop *self, const char *why);
static void settle_loss(struct redis_loop *self, int64_t now_ms);

static void init_guard(struct redis_loop *self)
{
    struct guard_options options = {.dependency = GUARD_REDIS,
                                    .what = "query",
                                    .place = self->options.thread,
                                    .breaker = breaker_default_options()};

    options.breaker.slow_ms = self->options.slow_ms;
    options.breaker.permit_ms = 2LL * self->options.batch_ms;
    guard_init(&self->guard, &options, randombytes_random(), clock_now_ms());
}

struct redis_loop *redis_loop_new(h2o_context_t *h2o, const struct redis_loop_options *options)
{
    struct redis_loop *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->options = *options;
    self->h2o = h2o;
    self->tail = &self->head;
    backoff_init(&self->backoff, RETRY_BASE_MS, RETRY_CAP_MS, randombytes_random());
    init_guard(self);
    return self;
}

void redis_loop_close(struct redis_loop **loop)
{
    struct redis_loop *self = *loop;

    if (self == NULL)
        return;
    self->is_outage_told = true; /* it is our own doing */
    lose(self, "closing");
    settle_loss(self, self->now_ms);
    guard_end(&self->guard);
    sodium_memzero(&self->address, sizeof(self->address));
    free(self);
    *loop = NULL;
}

bool redis_loop_is_up(const struct redis_loop *loop)
{
    return loop->state == UP && !loop->is_lost;
}

static void arm(struct redis_loop *self);

/* Writes what the turn has collected; hiredis may find the connection broken and free it. */
static void flush(struct redis_loop *self)
{
    if (!self->wants_write || self->is_armed || self->context == NULL)
        return;
    redisAsyncHandleWrite(self->context);
    if (self->context != NULL && self->wants_write)
        arm(self);
}

void redis_loop_turn(struct redis_loop *loop, int64_t now_ms)
{
    loop->now_ms = now_ms;
    (void)guard_step(&loop->guard, now_ms);
    settle_loss(loop, now_ms);
    if (loop->version != 0 && loop->version != endpoint_version(loop->options.endpoint))
        move(loop, now_ms);
    if (loop->state == WAITING && now_ms >= loop->due_ms)
        resolve(loop, now_ms);
    else if (loop->state == UP && loop->head != NULL && now_ms >= loop->head->deadline_ms)
        lose(loop, "no answer in time");
    else if (loop->state != WAITING && loop->state != UP && now_ms >= loop->due_ms)
        lose(loop, "connecting takes too long");
    flush(loop);
    settle_loss(loop, now_ms);
}

static bool read_address(struct redis_loop *self, struct error *err)
{
    AUTO(endpoint_text_free) char *url = endpoint_get(self->options.endpoint, &self->version);

    if (url == NULL)
        return error_set(err, ERROR_LIMIT, "redis: no memory");
    if (!redis_address_parse(url, self->turn, &self->address, err))
        return false;
    if (self->options.node.port == 0)
        return true;
    self->address.node = self->options.node;
    self->address.node_count = 1;
    return true;
}

/* Leaves a server that is no longer the one to ask, and does not wait with the next. */
static void move(struct redis_loop *self, int64_t now_ms)
{
    self->is_outage_told = true; /* endpoint_changed was */
    lose(self, "its address has changed");
    settle_loss(self, now_ms);
    backoff_reset(&self->backoff);
    self->due_ms = now_ms;
}

static void resolve(struct redis_loop *self, int64_t now_ms)
{
    const struct redis_address *address = &self->address;
    char port[8];

    self->state = RESOLVING;
    self->due_ms = now_ms + self->options.connect_ms;
    if (!read_address(self, &self->why)) {
        lose(self, self->why.text);
        return;
    }
    (void)snprintf(port, sizeof(port), "%d", address->node.port);
    self->resolving =
        h2o_hostinfo_getaddr(&self->h2o->receivers.hostinfo_getaddr,
                             h2o_iovec_init(address->node.host, strlen(address->node.host)),
                             h2o_iovec_init(port, strlen(port)), AF_UNSPEC, SOCK_STREAM,
                             IPPROTO_TCP, AI_NUMERICSERV, on_resolved, self);
}

/* A name with several addresses: each try takes the next, so that one of them is found alive; with
 * several names, once all of them had their turn. */
static const struct addrinfo *choose(const struct addrinfo *found, int attempt)
{
    const struct addrinfo *chosen = found;

    for (int i = 0; i < attempt; i++)
        chosen = chosen->ai_next == NULL ? found : chosen->ai_next;
    return chosen;
}

static void on_resolved(h2o_hostinfo_getaddr_req_t *req, const char *failure,
                        struct addrinfo *found, void *ctx)
{
    struct redis_loop *self = ctx;
    const struct addrinfo *chosen = NULL;
    char host[NI_MAXHOST];

    (void)req;
    self->resolving = NULL;
    if (failure != NULL) {
        lose(self, failure);
        return;
    }
    chosen = choose(found, self->backoff.attempts / (int)self->address.node_count);
    if (getnameinfo(chosen->ai_addr, chosen->ai_addrlen, host, sizeof(host), NULL, 0,
                    NI_NUMERICHOST) != 0) {
        lose(self, "the address is of no use");
        return;
    }
    self->state = CONNECTING;
    self->context = redisAsyncConnect(host, self->address.node.port);
    if (self->context == NULL || self->context->err != 0) {
        lose(self, self->context == NULL ? "no memory" : self->context->errstr);
        return;
    }
    attach(self);
}

static void on_readable(h2o_socket_t *socket, const char *failure)
{
    struct redis_loop *self = socket->data;

    (void)failure; /* hiredis reads and sees it itself */
    redisAsyncHandleRead(self->context);
}

static void on_writable(h2o_socket_t *socket, const char *failure)
{
    struct redis_loop *self = socket->data;

    (void)failure;
    self->is_armed = false;
    if (self->wants_write)
        redisAsyncHandleWrite(self->context);
}

static void arm(struct redis_loop *self)
{
    if (self->is_armed)
        return;
    self->is_armed = true;
    h2o_socket_notify_write(self->socket, on_writable);
}

static void on_add_read(void *ctx)
{
    struct redis_loop *self = ctx;

    if (self->is_reading)
        return;
    self->is_reading = true;
    h2o_socket_read_start(self->socket, on_readable);
}

static void on_del_read(void *ctx)
{
    struct redis_loop *self = ctx;

    if (!self->is_reading)
        return;
    self->is_reading = false;
    h2o_socket_read_stop(self->socket);
}

/* Once connected, the end of the turn writes; before, hiredis waits for the connection itself. */
static void on_add_write(void *ctx)
{
    struct redis_loop *self = ctx;

    self->wants_write = true;
    if (self->state == CONNECTING)
        arm(self);
}

static void on_del_write(void *ctx)
{
    struct redis_loop *self = ctx;

    self->wants_write = false;
}

static void attach(struct redis_loop *self)
{
    redisAsyncContext *context = self->context;
    int fd = fcntl(context->c.fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0) {
        lose(self, "no descriptor");
        return;
    }
    self->socket = h2o_evloop_socket_create(self->h2o->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    self->socket->data = self;
    context->data = self;
    context->ev.data = self;
    context->ev.addRead = on_add_read;
    context->ev.delRead = on_del_read;
    context->ev.addWrite = on_add_write;
    context->ev.delWrite = on_del_write;
    context->ev.cleanup = on_cleanup;
    /* Asks for writability at once, which completes the connection. */
    (void)redisAsyncSetConnectCallback(context, on_connected);
}

static void on_connected(const redisAsyncContext *context, int status)
{
    struct redis_loop *self = context->data;

    if (status != REDIS_OK) {
        (void)error_set(&self->why, ERROR_UNAVAILABLE, "redis: %s", context->errstr);
        return; /* hiredis cleans up next */
    }
    greet(self);
}

static void greet(struct redis_loop *self)
{
    const struct redis_address *address = &self->address;

    self->state = GREETING;
    if (address->password[0] != '\0' && address->user[0] != '\0')
        (void)redisAsyncCommand(self->context, on_greeted, NULL, "AUTH %s %s", address->user,
                                address->password);
    else if (address->password[0] != '\0')
        (void)redisAsyncCommand(self->context, on_greeted, NULL, "AUTH %s", address->password);
    if (address->database != 0)
        (void)redisAsyncCommand(self->context, on_greeted, NULL, "SELECT %d", address->database);
    /* Where there is another to ask, a replica that nobody has promoted is not asked. */
    if (address->node_count > 1)
        (void)redisAsyncCommand(self->context, on_role, NULL, "ROLE");
    /* The last one has a mark; a command that could not be queued is caught by the deadline. */
    (void)redisAsyncCommand(self->context, on_greeted, self, "PING");
}

static void on_role(redisAsyncContext *context, void *reply, void *ctx)
{
    struct redis_loop *self = context->data;

    if (redis_is_replica(reply)) {
        (void)error_set(&self->why, ERROR_UNAVAILABLE, "redis: %s:%d is a replica",
                        self->address.node.host, self->address.node.port);
        redisAsyncFree(context);
        return;
    }
    on_greeted(context, reply, ctx);
}

static void on_greeted(redisAsyncContext *context, void *reply, void *ctx)
{
    struct redis_loop *self = context->data;
    const redisReply *answer = reply;

    if (answer == NULL)
        return; /* on_cleanup follows */
    if (answer->type == REDIS_REPLY_ERROR) {
        (void)error_set(&self->why, ERROR_UNAVAILABLE, "redis: %s", answer->str);
        redisAsyncFree(context); /* from inside a callback hiredis frees it after the callback */
        return;
    }
    if (ctx == NULL)
        return;
    self->state = UP;
    guard_reconnected(&self->guard, self->now_ms);
    self->is_outage_told = false;
    backoff_reset(&self->backoff);
    log_info("redis_connected", "host=%s port=%d", self->address.node.host,
             self->address.node.port);
}

/* hiredis frees its context right after this. */
static void on_cleanup(void *ctx)
{
    struct redis_loop *self = ctx;

    if (self->why.kind == ERROR_NONE)
        (void)error_set(&self->why, ERROR_UNAVAILABLE, "redis: %s",
                        self->context->errstr != NULL && self->context->err != 0
                            ? self->context->errstr
                            : "connection lost");
    h2o_socket_close(self->socket);
    self->socket = NULL;
    self->context = NULL;
    self->is_reading = self->wants_write = self->is_armed = false;
    self->is_lost = true;
}

/* Never called from inside a callback of hiredis's. */
static void lose(struct redis_loop *self, const char *why)
{
    redisAsyncContext *context = self->context;

    if (self->why.kind == ERROR_NONE)
        (void)error_set(&self->why, ERROR_UNAVAILABLE, "redis: %s", why);
    if (self->resolving != NULL)
        h2o_hostinfo_getaddr_cancel(self->resolving);
    self->resolving = NULL;
    self->is_lost = true;
    if (context == NULL)
        return;
    if (self->socket == NULL)
        self->context = NULL; /* never attached: on_cleanup is not called */
    redisAsyncFree(context);
}

/* A try to connect is an attempt, too, if the breaker has one to give. */
static void note_unreachable(struct redis_loop *self, int64_t now_ms)
{
    struct breaker_permit permit;

    if (breaker_allow(&self->guard.breaker, now_ms, &permit))
        guard_report(&self->guard, &permit, BREAKER_CONNECT_FAILURE, now_ms);
}

/* The one place where waiting transactions fail, outside of any callback of hiredis's. */
static void settle_loss(struct redis_loop *self, int64_t now_ms)
{
    struct error why = self->why;

    if (!self->is_lost)
        return;
    if (self->context != NULL) /* a command could not be queued */
        lose(self, "no memory");
    if (self->state != UP) {
        note_unreachable(self, now_ms);
        self->turn++;
    }
    self->is_lost = false;
    self->why = self->refusal = (struct error){0};
    self->moved.port = 0;
    self->state = WAITING;
    self->due_ms = now_ms + backoff_next_ms(&self->backoff);
    if (!self->is_outage_told) /* once an outage */
        log_warn("redis_lost", "host=%s port=%d why=\"%s\" pending=%zu", self->address.node.host,
                 self->address.node.port, why.text, self->pending);
    self->is_outage_told = true;
    while (self->head != NULL) {
        struct redis_batch *batch = redis_loop_take(self);

        guard_report(&self->guard, &batch->permit, BREAKER_FAILURE, now_ms);
        batch->done(batch->ctx, NULL, 0, &why);
    }
}
