/* The transactions of a connection that redis_loop.c keeps. */
#include "redis_loop_private.h"

#include "runtime/clock.h"

#include <assert.h>

static void on_executed(redisAsyncContext *context, void *reply, void *ctx);

bool redis_loop_begin(struct redis_loop *loop, int64_t now_ms, struct error *err)
{
    const char *argv[] = {"MULTI"};
    const size_t sizes[] = {5};

    if (!redis_loop_is_up(loop))
        return error_set(err, ERROR_UNAVAILABLE, "redis: not connected");
    if (loop->pending >= loop->options.pending_max)
        return error_set(err, ERROR_LIMIT, "redis: %zu transactions wait", loop->pending);
    loop->now_ms = now_ms;
    if (!guard_allow(&loop->guard, now_ms, &loop->permit))
        return error_set(err, ERROR_UNAVAILABLE, "redis: its breaker is open");
    if (redis_loop_command(loop, 1, argv, sizes))
        return true;
    guard_report(&loop->guard, &loop->permit, BREAKER_FAILURE, now_ms);
    return error_set(err, ERROR_UNAVAILABLE, "redis: the connection has broken");
}

/* The first command of a transaction that is refused tells why all of it is. */
static void on_queued(redisAsyncContext *context, void *reply, void *ctx)
{
    struct redis_loop *self = context->data;
    const redisReply *answer = reply;
    struct redis_node node = self->address.node;

    (void)ctx;
    if (answer == NULL || answer->type != REDIS_REPLY_ERROR || self->refusal.kind != ERROR_NONE)
        return;
    (void)error_set(&self->refusal, ERROR_UNAVAILABLE, "redis: %s", answer->str);
    if (redis_node_follow(answer->str, &node))
        self->moved = node;
}

bool redis_loop_command(void *loop, int argc, const char **argv, const size_t *sizes)
{
    struct redis_loop *self = loop;

    return self->context != NULL &&
           redisAsyncCommandArgv(self->context, on_queued, NULL, argc, argv, sizes) == REDIS_OK;
}

void redis_loop_commit(struct redis_loop *loop, struct redis_batch *batch, int64_t now_ms)
{
    batch->permit = loop->permit;
    batch->deadline_ms = now_ms + loop->options.batch_ms;
    batch->next = NULL;
    *loop->tail = batch;
    loop->tail = &batch->next;
    loop->pending++;
    if (loop->context == NULL ||
        redisAsyncCommand(loop->context, on_executed, batch, "EXEC") != REDIS_OK)
        loop->is_lost = true;
}

struct redis_batch *redis_loop_take(struct redis_loop *self)
{
    struct redis_batch *batch = self->head;

    self->head = batch->next;
    if (self->head == NULL)
        self->tail = &self->head;
    self->pending--;
    return batch;
}

/* What a refused transaction is told: EXEC itself says only that there was something. */
static struct error take_refusal(struct redis_loop *self, const redisReply *answer)
{
    struct error err = self->refusal;

    if (err.kind == ERROR_NONE)
        (void)error_set(&err, ERROR_UNAVAILABLE, "redis: %s",
                        answer->type == REDIS_REPLY_ERROR ? answer->str : "not EXEC's answer");
    return err;
}

static void on_executed(redisAsyncContext *context, void *reply, void *ctx)
{
    struct redis_loop *self = context->data;
    const redisReply *answer = reply;
    struct redis_batch *batch = NULL;
    struct error err = {0};
    bool is_moved = self->moved.port != 0;

    if (answer == NULL)
        return; /* lost: settle_loss tells all of them at the end of the turn */
    batch = redis_loop_take(self);
    assert(batch == ctx); /* Redis answers in order */
    guard_report(&self->guard, &batch->permit,
                 answer->type == REDIS_REPLY_ARRAY || is_moved ? BREAKER_SUCCESS : BREAKER_FAILURE,
                 clock_now_ms());
    if (answer->type != REDIS_REPLY_ARRAY)
        err = take_refusal(self, answer);
    if (is_moved && self->options.on_moved != NULL)
        self->options.on_moved(self->options.ctx, batch->partition, &self->moved);
    self->refusal = (struct error){0};
    self->moved.port = 0;
    if (answer->type == REDIS_REPLY_ARRAY)
        batch->done(batch->ctx, answer->element, answer->elements, &err);
    else
        batch->done(batch->ctx, NULL, 0, &err);
}
