/*
 * redis_nodes.h — the nodes of Redis that a loop reads from, and which of them has a partition
 *
 * Why:     in Redis Cluster a partition's keys are on one of several nodes, and may move.
 * Shape:   one connection to whichever of the endpoint's nodes answers, and one more to each node
 *          that MOVED has named. Nothing is asked beforehand: a partition's first transaction goes
 *          to the first connection, comes back refused, and its successors go where MOVED says. A
 *          node that cannot be reached is not waited for: the first connection is asked instead,
 *          until it names the node's successor.
 *
 *            partition --(MOVED remembered)--> its node, up ----> transaction
 *                  \--(not known, or not up)-> the first one --> MOVED: remember, open
 *
 *          A Redis that is no cluster never says MOVED, and has the first connection alone.
 * Errors:  a transaction that MOVED has met fails with ERROR_UNAVAILABLE; whoever asked turns to
 *          PostgreSQL as for any other failure.
 * Limits:  REDIS_NODES_MAX nodes; the partitions of any more are not read from Redis.
 * Threads: the loop's.
 */
#pragma once

#include "redis_loop.h"

struct redis_nodes;

/* options.node and options.on_moved are set here. NULL: no memory. */
struct redis_nodes *redis_nodes_new(h2o_context_t *h2o, const struct redis_loop_options *options,
                                    uint32_t partitions);
/* Fails what still waits. */
void redis_nodes_close(struct redis_nodes **nodes);

/* Call it at the end of every turn. */
void redis_nodes_turn(struct redis_nodes *nodes, int64_t now_ms);
/* Every node is that is asked. */
bool redis_nodes_is_up(const struct redis_nodes *nodes);

/* To begin a transaction on now; not to be kept. NULL: nodes is NULL. */
struct redis_loop *redis_nodes_find(struct redis_nodes *nodes, uint32_t partition);
