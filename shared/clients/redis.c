#include "clients/redis.h"

#include "base/auto.h"
#include "clients/clients_metrics.h"
#include "clients/endpoint.h"
#include "clients/guard.h"
#include "clients/guarded.h"
#include "clients/poll_wait.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FORGOTTEN "redis: NOSCRIPT"
#define MOVED     "redis: MOVED"

enum { HOPS_MAX = 3 };

struct redis {
    struct endpoint *endpoint;
    uint64_t version; /* of the endpoint, that address was read from */
    struct redis_address address;
    unsigned turn;          /* of the nodes that the endpoint names */
    struct redis_node home; /* that MOVED has named; port 0: none */
    bool is_astray;         /* the node has said that another one is to be asked */
    const char *key;
    uint64_t connects;
    int connect_ms, command_ms;
    struct guarded guarded;
    redisContext *context; /* non-blocking: our own deadlines bound every wait; NULL: none */
};

/* A command's way: enter (breaker, connection) -> append -> write out -> read -> judge -> leave. */
static bool enter(struct redis *redis, struct breaker_permit *out_permit, struct error *err);
static bool leave(struct redis *redis, const struct breaker_permit *permit, bool is_done,
                  const struct error *err);
static bool connect_now(struct redis *redis, struct error *err);
static bool run(struct redis *redis, redisReply **out_reply, struct error *err);
static bool write_out(struct redis *redis, int64_t deadline_ms, struct error *err);
static bool read_reply(struct redis *redis, int64_t deadline_ms, redisReply **out_reply,
                       struct error *err);
static bool judge(struct redis *redis, const redisReply *reply, struct error *err);

static void drop(struct redis *redis)
{
    if (redis->context != NULL)
        redisFree(redis->context);
    redis->context = NULL;
}

static bool read_address(struct redis *redis, struct error *err)
{
    uint64_t version = redis->version;
    AUTO(endpoint_text_free) char *url = endpoint_get(redis->endpoint, &redis->version);

    if (url == NULL)
        return error_set(err, ERROR_LIMIT, "redis: no memory");
    if (version != redis->version)
        redis->home.port = 0; /* of the servers before */
    if (!redis_address_parse(url, redis->turn, &redis->address, err))
        return false;
    if (redis->home.port != 0)
        redis->address.node = redis->home;
    return true;
}

struct redis *redis_new(const struct redis_options *options, struct error *err)
{
    AUTO(redis_close) struct redis *redis = calloc(1, sizeof(*redis));

    if (redis == NULL) {
        error_set(err, ERROR_LIMIT, "redis: no memory");
        return NULL;
    }
    redis->connect_ms = options->connect_ms;
    redis->command_ms = options->command_ms;
    guarded_init(&redis->guarded, options->guard);
    redis->endpoint = options->endpoint;
    redis->key = options->key;
    if (!read_address(redis, err))
        return NULL;
    return TAKE(redis);
}

void redis_close(struct redis **redis)
{
    if (*redis == NULL)
        return;
    drop(*redis);
    explicit_bzero(&(*redis)->address, sizeof((*redis)->address));
    free(*redis);
    *redis = NULL;
}

bool redis_is_connected(const struct redis *redis)
{
    return redis->context != NULL && redis->context->err == 0 && !redis->is_astray &&
           redis->version == endpoint_version(redis->endpoint);
}

uint64_t redis_connects(const struct redis *redis)
{
    return redis->connects;
}

bool redis_command(struct redis *redis, int argc, const char **argv, const size_t *argv_sizes,
                   redisReply **out_reply, struct error *err)
{
    struct breaker_permit permit = {0};
    bool is_done = false;

    if (!enter(redis, &permit, err))
        return false;
    if (redisAppendCommandArgv(redis->context, argc, argv, argv_sizes) == REDIS_OK) {
        is_done = run(redis, out_reply, err);
    } else {
        drop(redis);
        error_set(err, ERROR_LIMIT, "redis: no memory for a command");
    }
    return leave(redis, &permit, is_done, err);
}

bool redis_text(struct redis *redis, redisReply **out_reply, struct error *err, const char *format,
                ...)
{
    struct breaker_permit permit = {0};
    bool is_done = false;
    va_list args;
    int status;

    if (!enter(redis, &permit, err))
        return false;
    va_start(args, format);
    status = redisvAppendCommand(redis->context, format, args);
    va_end(args);
    if (status == REDIS_OK) {
        is_done = run(redis, out_reply, err);
    } else {
        drop(redis);
        error_set(err, ERROR_INTERNAL, "redis: bad format or no memory: %s", format);
    }
    return leave(redis, &permit, is_done, err);
}

/* Nothing of the caller's has been sent yet: whatever goes wrong here is certain. */
static bool greet(struct redis *redis, struct error *err, int argc, const char **argv,
                  redisReply **out_reply)
{
    if (redisAppendCommandArgv(redis->context, argc, argv, NULL) != REDIS_OK)
        return error_set(err, ERROR_LIMIT, "redis: no memory for %s", argv[0]);
    if (run(redis, out_reply, err))
        return true;
    if (err->kind == ERROR_UNCERTAIN)
        err->kind = ERROR_UNAVAILABLE;
    return error_wrap(err, argv[0]);
}

static bool say_hello(struct redis *redis, struct error *err, int argc, const char **argv)
{
    return greet(redis, err, argc, argv, NULL);
}

static bool log_in(struct redis *redis, struct error *err)
{
    const struct redis_address *address = &redis->address;
    const char *with_user[] = {"AUTH", address->user, address->password};
    const char *without[] = {"AUTH", address->password};
    char database[16];
    const char *select[] = {"SELECT", database};

    snprintf(database, sizeof(database), "%d", address->database);
    if (address->user[0] != '\0' && !say_hello(redis, err, 3, with_user))
        return false;
    if (address->user[0] == '\0' && address->password[0] != '\0' &&
        !say_hello(redis, err, 2, without))
        return false;
    return address->database == 0 || say_hello(redis, err, 2, select);
}

static bool connect_socket(struct redis *redis, struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + redis->connect_ms;
    int failure = 0;
    socklen_t size = sizeof(failure);

    redis->context = redisConnectNonBlock(redis->address.node.host, redis->address.node.port);
    if (redis->context == NULL)
        return error_set(err, ERROR_LIMIT, "redis: no memory for a connection");
    if (redis->context->err != 0)
        return error_set(err, ERROR_UNAVAILABLE, "redis: %s:%d: %s", redis->address.node.host,
                         redis->address.node.port, redis->context->errstr);
    if (!poll_wait(redis->context->fd, POLLOUT, deadline_ms))
        return error_set(err, ERROR_UNAVAILABLE, "redis: connect %s:%d: timed out after %d ms",
                         redis->address.node.host, redis->address.node.port, redis->connect_ms);
    if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0 || failure != 0)
        return error_set(err, ERROR_UNAVAILABLE, "redis: connect %s:%d: %s",
                         redis->address.node.host, redis->address.node.port,
                         strerrordesc_np(failure));
    return true;
}

/* False with is_astray: home is the node that has the key. */
static bool find_key(struct redis *redis, struct error *err)
{
    const char *exists[] = {"EXISTS", redis->key};

    return redis->key == NULL || say_hello(redis, err, 2, exists);
}

/* A replica that nobody has promoted takes no writes, and may show what was. */
static bool check_role(struct redis *redis, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    const char *role[] = {"ROLE"};

    if (redis->address.node_count == 1)
        return true; /* there is no other to ask */
    if (!greet(redis, err, 1, role, &reply))
        return false;
    if (redis_is_replica(reply))
        return error_set(err, ERROR_UNAVAILABLE, "redis: %s:%d is a replica",
                         redis->address.node.host, redis->address.node.port);
    return true;
}

static bool arrive(struct redis *redis, struct error *err)
{
    if (!read_address(redis, err))
        return false;
    for (int hop = 0; hop <= HOPS_MAX; hop++) {
        redis->is_astray = false;
        if (!connect_socket(redis, err) || !log_in(redis, err))
            return false;
        if (find_key(redis, err))
            return check_role(redis, err);
        if (!redis->is_astray || redis->home.port == 0)
            return false;
        drop(redis);
        redis->address.node = redis->home;
    }
    return error_set(err, ERROR_UNAVAILABLE, "redis: %d nodes in a row send on to another",
                     HOPS_MAX + 1);
}

static void leave_node(struct redis *redis)
{
    if (redis->home.port == 0)
        redis->turn++;
    redis->home.port = 0;
}

static bool connect_now(struct redis *redis, struct error *err)
{
    bool is_reached = false;

    drop(redis);
    redis->connects++;
    clients_count(METRIC_redis_connects_total, 1);
    is_reached = arrive(redis, err);
    if (!is_reached) {
        drop(redis);
        leave_node(redis);
    }
    guarded_note_reach(&redis->guarded, is_reached);
    return is_reached;
}

/* A frozen server's kernel takes connections: only an answer proves that somebody is there. */
static bool reach(void *ctx)
{
    struct redis *redis = ctx;
    struct error refusal = {0};
    const char *ping[] = {"PING"};

    return redis_is_connected(redis) ||
           (connect_now(redis, &refusal) && say_hello(redis, &refusal, 1, ping));
}

static bool enter(struct redis *redis, struct breaker_permit *out_permit, struct error *err)
{
    if (!guarded_ask(&redis->guarded, reach, redis, out_permit))
        return error_set(err, ERROR_UNAVAILABLE, "redis: its breaker is open");
    if (redis_is_connected(redis) || connect_now(redis, err))
        return true;
    guarded_tell(&redis->guarded, out_permit, BREAKER_FAILURE);
    return false;
}

static bool leave(struct redis *redis, const struct breaker_permit *permit, bool is_done,
                  const struct error *err)
{
    /* A script that the server has forgotten is no failure of it, nor is a slot that has moved. */
    bool is_its_answer = is_done || strncmp(err->text, FORGOTTEN, strlen(FORGOTTEN)) == 0 ||
                         strncmp(err->text, MOVED, strlen(MOVED)) == 0;

    guarded_tell(&redis->guarded, permit, guard_judge(is_its_answer ? ERROR_NONE : err->kind));
    return is_done;
}

static bool run(struct redis *redis, redisReply **out_reply, struct error *err)
{
    int64_t deadline_ms = clock_now_ms() + redis->command_ms;
    AUTO(redis_reply_free) redisReply *reply = NULL;
    bool is_answered =
        write_out(redis, deadline_ms, err) && read_reply(redis, deadline_ms, &reply, err);

    if (!is_answered)
        drop(redis);
    if (!is_answered || !judge(redis, reply, err)) {
        clients_count_result(METRIC_redis_commands_total, err->kind);
        return false;
    }
    clients_count_result(METRIC_redis_commands_total, ERROR_NONE);
    if (out_reply != NULL)
        *out_reply = TAKE(reply);
    return true;
}

/* A part of a command may have reached the server, and the server may have taken it. */
static bool lose(const struct redis *redis, struct error *err)
{
    return error_set(err, ERROR_UNCERTAIN, "redis: %s", redis->context->errstr);
}

static bool time_out(const struct redis *redis, struct error *err)
{
    return error_set(err, ERROR_UNCERTAIN, "redis: no answer within %d ms", redis->command_ms);
}

static bool write_out(struct redis *redis, int64_t deadline_ms, struct error *err)
{
    int is_done = 0;

    for (;;) {
        if (redisBufferWrite(redis->context, &is_done) != REDIS_OK)
            return lose(redis, err);
        if (is_done)
            return true;
        if (!poll_wait(redis->context->fd, POLLOUT, deadline_ms))
            return time_out(redis, err);
    }
}

static bool read_reply(struct redis *redis, int64_t deadline_ms, redisReply **out_reply,
                       struct error *err)
{
    void *reply = NULL;

    for (;;) {
        if (redisGetReplyFromReader(redis->context, &reply) != REDIS_OK)
            return lose(redis, err);
        if (reply != NULL)
            break;
        if (!poll_wait(redis->context->fd, POLLIN, deadline_ms))
            return time_out(redis, err);
        if (redisBufferRead(redis->context) != REDIS_OK)
            return lose(redis, err);
    }
    *out_reply = reply;
    return true;
}

/* What the node says of itself: the next call connects to another one. */
static void heed(struct redis *redis, const char *refusal)
{
    struct redis_node node = redis->address.node;

    if (redis_node_follow(refusal, &node)) {
        redis->home = node;
        redis->is_astray = true;
    } else if (strncmp(refusal, "READONLY", strlen("READONLY")) == 0) {
        leave_node(redis);
        redis->is_astray = true;
    }
}

/* Replies that the same command may not get a second later. */
static bool judge(struct redis *redis, const redisReply *reply, struct error *err)
{
    static const char *const passing[] = {"LOADING",     "OOM",        "READONLY", "BUSY",
                                          "TRYAGAIN",    "MOVED",      "ASK",      "NOSCRIPT",
                                          "CLUSTERDOWN", "MASTERDOWN", "MISCONF",  "NOREPLICAS"};
    size_t word_size;

    assert(reply != NULL);
    if (reply->type != REDIS_REPLY_ERROR)
        return true;
    heed(redis, reply->str);
    word_size = strcspn(reply->str, " ");
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (word_size == strlen(passing[i]) && memcmp(reply->str, passing[i], word_size) == 0)
            return error_set(err, ERROR_UNAVAILABLE, "redis: %s", reply->str);
    }
    return error_set(err, ERROR_INTERNAL, "redis: %s", reply->str);
}

bool redis_is_replica(const redisReply *role)
{
    return role != NULL && role->type == REDIS_REPLY_ARRAY && role->elements > 0 &&
           role->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(role->element[0]->str, "slave") == 0;
}

void redis_reply_free(redisReply **reply)
{
    if (*reply != NULL)
        freeReplyObject(*reply);
    *reply = NULL;
}
