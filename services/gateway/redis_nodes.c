#include "redis_nodes.h"

#include "base/auto.h"
#include "clients/endpoint.h"
#include "runtime/log.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 0 };

struct redis_nodes {
    h2o_context_t *h2o;
    struct redis_loop_options options;
    struct redis_loop *loops[1 + REDIS_NODES_MAX]; /* FIRST, then by node; NULL: a free place */
    struct redis_node nodes[1 + REDIS_NODES_MAX];
    uint64_t version; /* of the endpoint, whose nodes they are */
    uint32_t partitions;
    uint8_t places[]; /* by partition */
};

_Static_assert(REDIS_NODES_MAX < UINT8_MAX, "a place is a byte");

static void on_moved(void *ctx, uint32_t partition, const struct redis_node *node);

struct redis_nodes *redis_nodes_new(h2o_context_t *h2o, const struct redis_loop_options *options,
                                    uint32_t partitions)
{
    AUTO(redis_nodes_close)
    struct redis_nodes *nodes = calloc(1, sizeof(*nodes) + partitions);

    if (nodes == NULL)
        return NULL;
    nodes->h2o = h2o;
    nodes->partitions = partitions;
    nodes->options = *options;
    nodes->options.on_moved = on_moved;
    nodes->options.ctx = nodes;
    nodes->version = endpoint_version(options->endpoint);
    nodes->loops[FIRST] = redis_loop_new(h2o, &nodes->options);
    return nodes->loops[FIRST] == NULL ? NULL : TAKE(nodes);
}

/* What waited comes back while this goes on, and asks for a node again: the place is free first. */
static void close_at(struct redis_nodes *self, size_t place)
{
    struct redis_loop *loop = TAKE(self->loops[place]);

    redis_loop_close(&loop);
}

void redis_nodes_close(struct redis_nodes **nodes)
{
    struct redis_nodes *self = TAKE(*nodes); /* nobody finds a node from now on */

    if (self == NULL)
        return;
    for (size_t i = 0; i <= REDIS_NODES_MAX; i++)
        close_at(self, i);
    free(self);
}

static bool is_used(const struct redis_nodes *self, size_t place)
{
    return place == FIRST || memchr(self->places, (int)place, self->partitions) != NULL;
}

/* Nodes of the servers before; they keep their connections if MOVED leads back to them at once. */
static void forget_moved(struct redis_nodes *self)
{
    uint64_t version = endpoint_version(self->options.endpoint);

    if (version != self->version)
        memset(self->places, FIRST, self->partitions);
    self->version = version;
}

void redis_nodes_turn(struct redis_nodes *nodes, int64_t now_ms)
{
    forget_moved(nodes);
    for (size_t i = 0; i <= REDIS_NODES_MAX; i++) {
        if (nodes->loops[i] == NULL)
            continue;
        redis_loop_turn(nodes->loops[i], now_ms);
        if (!is_used(nodes, i))
            close_at(nodes, i);
    }
}

bool redis_nodes_is_up(const struct redis_nodes *nodes)
{
    for (size_t i = 0; i <= REDIS_NODES_MAX; i++) {
        if (nodes->loops[i] != NULL && !redis_loop_is_up(nodes->loops[i]))
            return false;
    }
    return true;
}

struct redis_loop *redis_nodes_find(struct redis_nodes *nodes, uint32_t partition)
{
    struct redis_loop *loop = NULL;

    if (nodes == NULL)
        return NULL;
    if (partition < nodes->partitions)
        loop = nodes->loops[nodes->places[partition]];
    return loop != NULL && redis_loop_is_up(loop) ? loop : nodes->loops[FIRST];
}

static bool is_same(const struct redis_node *one, const struct redis_node *other)
{
    return one->port == other->port && strcmp(one->host, other->host) == 0;
}

/* FIRST: there is no place left, or no memory. */
static size_t open_node(struct redis_nodes *self, const struct redis_node *node)
{
    struct redis_loop_options options = self->options;
    size_t place = FIRST + 1;

    while (place <= REDIS_NODES_MAX && self->loops[place] != NULL)
        place++;
    if (place > REDIS_NODES_MAX)
        return FIRST;
    options.node = self->nodes[place] = *node;
    self->loops[place] = redis_loop_new(self->h2o, &options);
    return self->loops[place] == NULL ? FIRST : place;
}

static void on_moved(void *ctx, uint32_t partition, const struct redis_node *node)
{
    struct redis_nodes *self = ctx;
    size_t place = FIRST + 1;

    if (partition >= self->partitions)
        return; /* of a time with more of them: FIRST refuses it every time */
    while (place <= REDIS_NODES_MAX &&
           (self->loops[place] == NULL || !is_same(&self->nodes[place], node)))
        place++;
    if (place > REDIS_NODES_MAX)
        place = open_node(self, node);
    if (place == self->places[partition])
        return;
    self->places[partition] = (uint8_t)place;
    log_info("redis_partition_moved", "partition=%u host=%s port=%d thread=%u", partition,
             node->host, node->port, self->options.thread);
}
