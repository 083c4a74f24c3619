/*
 * redis.h — Redis for worker threads: blocking, with a deadline on every wait
 *
 * Errors:  a timeout or a lost connection is ERROR_UNCERTAIN for a command that was sent, else
 *          ERROR_UNAVAILABLE; an error reply is ERROR_UNAVAILABLE for LOADING, OOM, READONLY, BUSY,
 *          TRYAGAIN, CLUSTERDOWN, MASTERDOWN, MISCONF and NOREPLICAS, and ERROR_INTERNAL otherwise.
 *          After a loss the context is thrown away and made again by the next call (AUTH and SELECT
 *          included).
 *          MOVED and ASK are ERROR_UNAVAILABLE, too: nothing was done, and the caller begins again.
 *          While the guard's breaker is open: ERROR_UNAVAILABLE at once.
 * Nodes:   an address may name several. One that cannot be reached, is a replica, or answers
 *          READONLY is left for the next. In a Redis Cluster a client with a key connects to the
 *          node that has it, by following MOVED; a MOVED that comes later has the next call connect
 *          there. It is not followed under the caller's feet: SCAN's cursor is a node's own.
 *          Each connecting asks one of the named nodes, and those it is sent on to.
 * Limits:  no TLS: stunnel or a sidecar goes between. Only the look-up of the host's name is
 *          outside the deadlines.
 * Threads: one owner thread a struct redis; a struct redis_script may be shared. The gateway's
 *          loops use hiredis on h2o's loop instead.
 */
#pragma once

#include "base/error.h"
#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;
struct guard;
struct redis;

struct redis_options {
    struct endpoint *endpoint; /* redis://[[user]:password@]host:port[,host:port...][/db]; borrowed
                                  until redis_close; the next command goes where it says by then */
    const char *key;           /* all keys share its tag; borrowed until redis_close, NULL: none */
    int connect_ms, command_ms;
    struct guard *guard; /* asked before every command; borrowed until redis_close, NULL: none */
};

/* What follows is shared with the gateway's loops. */
enum { REDIS_NODES_MAX = 32, REDIS_HOST_MAX = 255 };

struct redis_node {
    char host[REDIS_HOST_MAX + 1];
    int port;
};

/* The parts of a Redis URL, owned by the struct's fixed buffers. */
struct redis_address {
    struct redis_node node; /* the one whose turn it is */
    unsigned node_count;    /* that the URL names; 1 to REDIS_NODES_MAX */
    int database;
    char user[128], password[256];
};
/* turn counts the nodes of the URL, and begins anew after the last. */
MUST_CHECK bool redis_address_parse(const char *url, unsigned turn, struct redis_address *out,
                                    struct error *err);
/* True when an error reply is MOVED; *node is where to, and was the one that said so. */
bool redis_node_follow(const char *reply, struct redis_node *node);
/* Of the reply to ROLE. */
bool redis_is_replica(const redisReply *role);

struct redis *redis_new(const struct redis_options *options, struct error *err);
void redis_close(struct redis **redis);
bool redis_is_connected(const struct redis *redis);
/* Counts the connections made: another number, another connection, and perhaps another node. */
uint64_t redis_connects(const struct redis *redis);

/* One command; the reply is owned by the caller (AUTO(redis_reply_free)). An error reply is a
 * failure. */
MUST_CHECK bool redis_command(struct redis *redis, int argc, const char **argv,
                              const size_t *argv_sizes, redisReply **out_reply, struct error *err);
/* Convenience for text commands: redis_text(r, &reply, err, "GET %s", key). */
MUST_CHECK bool redis_text(struct redis *redis, redisReply **out_reply, struct error *err,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));
void redis_reply_free(redisReply **reply);

/* A script by its text; EVALSHA first, EVAL when the server has forgotten it. */
struct redis_script {
    const char *text;
    char sha[41]; /* "": not yet computed */
};
/* argv: KEYS first (key_count of them), then ARGV. */
MUST_CHECK bool redis_eval(struct redis *redis, struct redis_script *script, int key_count,
                           int argc, const char **argv, const size_t *argv_sizes,
                           redisReply **out_reply, struct error *err);
