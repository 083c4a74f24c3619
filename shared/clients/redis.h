/*
 * redis.h — Redis for worker threads: blocking, with a deadline on every wait
 *
 * Errors:  a timeout or a lost connection is ERROR_UNCERTAIN for a command that was sent, else
 *          ERROR_UNAVAILABLE; an error reply is ERROR_UNAVAILABLE for LOADING, OOM, READONLY, BUSY,
 *          TRYAGAIN, CLUSTERDOWN, MASTERDOWN, MISCONF and NOREPLICAS, and ERROR_INTERNAL otherwise.
 *          After a loss the context is thrown away and made again by the next call (AUTH and SELECT
 *          included).
 *          While the guard's breaker is open: ERROR_UNAVAILABLE at once.
 * Limits:  no TLS: stunnel or a sidecar goes between. Only the look-up of the host's name is
 *          outside the deadlines.
 * Threads: one owner thread a struct redis; a struct redis_script may be shared. The gateway's
 *          loops use hiredis on h2o's loop instead.
 */
#pragma once

#include "base/error.h"
#include <hiredis/hiredis.h>
#include <stddef.h>

struct endpoint;
struct guard;
struct redis;

struct redis_options {
    struct endpoint *endpoint; /* redis://[[user]:password@]host:port[/db]; borrowed until
                                  redis_close; the next command goes where it says by then */
    int connect_ms, command_ms;
    struct guard *guard; /* asked before every command; borrowed until redis_close, NULL: none */
};

/* The parts of a Redis URL, owned by the struct's fixed buffers; shared with the gateway's loops.
 */
struct redis_address {
    char host[256];
    int port;
    int database;
    char user[128], password[256];
};
MUST_CHECK bool redis_address_parse(const char *url, struct redis_address *out, struct error *err);

struct redis *redis_new(const struct redis_options *options, struct error *err);
void redis_close(struct redis **redis);
bool redis_is_connected(const struct redis *redis);

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
