/*
 * admission.h — may this request go on? Asked before any handler runs
 *
 *   admission_check    limits first, then the key: a flood of wrong keys is a flood like any other
 *   admission_charge   what a request has turned out to cost beyond one token
 *   admission_grants   what the caller has shown a right to, for the handler
 *
 * Limits:  a caller with a listed key takes from the key's bucket, every other from its address's
 *          (an IPv6 /64 is one). Routes with ROUTE_OPS are neither guarded nor limited.
 * Errors:  a refused request has been answered: 401 with WWW-Authenticate, 403, or 429 with
 *          Retry-After, RateLimit and RateLimit-Policy.
 * Threads: open and close before and after the loops; the rest on the request's loop.
 */
#pragma once

#include "base/error.h"
#include "http/server.h"

struct access;
struct gateway;
struct gateway_thread;
struct rate_limiter;
struct reloader;
struct settings;

struct admission {
    struct access_board *board;          /* owned */
    struct rate_limiter *clients, *keys; /* owned */
};

MUST_CHECK bool admission_open(struct admission *self, const struct settings *settings,
                               struct error *err);
void admission_close(struct admission *self);

/* What access_new made of new settings is in force when it returns. For the reloader. */
void admission_take_up(struct admission *self, struct access **access);

/* At the end of a turn: takes the newest snapshot. */
void admission_turn(struct gateway_thread *thread);

/* server_options.on_admit; ctx is the struct gateway. */
bool admission_check(void *ctx, h2o_req_t *req, const struct route *route);
void admission_charge(h2o_req_t *req, int64_t tokens);
/* ROUTE_ flags: ROUTE_SERVER is in it for a server's key, and so on. */
unsigned admission_grants(h2o_req_t *req);
