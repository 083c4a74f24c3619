/*
 * access.h — who may do what, and how often, at one moment
 *
 * Why:     keys, tokens and limits can change while requests are under way. What they are is one
 *          immutable snapshot: a loop holds the newest from one turn to the next, so a request is
 *          judged by one state of affairs, without a lock.
 * Shape:   built from the settings, by main at the start and by the reloader later; wrong settings
 *          build nothing, and the old snapshot stays.
 * Guards:  a key that is shown must be right and must carry what the route asks for, even where
 *          nobody needs one. Routes with ROUTE_SERVER or ROUTE_ADMIN always need one; ROUTE_COLLECT
 *          and ROUTE_READ do when the settings say so. While neither keys nor tokens are configured
 *          nothing that is shown can be judged: open routes ignore it, the others answer 401.
 * Errors:  ERROR_INVALID names the setting, and never holds a secret.
 * Threads: access_new, access_free and access_publish on the thread that reloads; the rest any.
 */
#pragma once

#include "auth_keys.h"
#include "base/error.h"
#include "credentials.h"
#include "rate_limiter.h"
#include "role.h"

struct access;
struct access_board;
struct settings;

/* ---- a snapshot ---- */

struct access *access_new(const struct settings *settings, struct error *err);
/* Nobody has seen it yet. */
void access_free(struct access **access);

/* True: no route but those of servers and admins needs a look, and nothing is counted. */
bool access_is_open(const struct access *access);
/* Keys or tokens are configured, so that what a caller shows is looked at. */
bool access_has_keys(const struct access *access);
const struct rate *access_client_rate(const struct access *access);

/* NULL: not one of the listed keys, or nothing was shown. Costs one SHA-256. */
const struct auth_key *access_find_key(const struct access *access,
                                       const struct credentials *credentials);
/* The key's own rate, or the default where it has none. */
struct rate access_key_rate(const struct access *access, const struct auth_key *key);

enum access_verdict { ACCESS_ALLOWED, ACCESS_UNAUTHORIZED, ACCESS_FORBIDDEN };

struct access_answer {
    enum access_verdict verdict;
    unsigned grants; /* the ROUTE_ flags that the caller has shown a right to */
    const char *why; /* for the client, when it is not allowed; static */
};

/* key is what access_find_key has found. A token is checked here. at_ms is Unix time. */
struct access_answer access_judge(const struct access *access, unsigned route_flags,
                                  const struct credentials *credentials, const struct auth_key *key,
                                  int64_t at_ms);

/* ---- the newest one ---- */

struct access_board *access_board_new(struct access **first, struct error *err);
void access_board_free(struct access_board **board);
/* The board owns the snapshot now. */
void access_publish(struct access_board *board, struct access **access);
/* *held is the caller's reference, replaced when there is a newer one; cheap when nothing changed.
 */
void access_take(struct access_board *board, const struct access **held);
void access_drop(const struct access **held);
