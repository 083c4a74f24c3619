/*
 * discovery.h — answers NATS's service protocol, so that `nats micro ls` finds our processes
 *
 * Why:     who looks at NATS sees which of our processes are there, since when and in which
 *          version, without a list of their addresses.
 * Shape:   ADR-32 of NATS: PING, INFO and STATS, each asked of everybody ("$SRV.PING"), of a name
 *          ("$SRV.PING.adledger-ingest") or of one process (and its id). No request comes to us
 *          over NATS, so there are no endpoints, and the three answers never change.
 * Errors:  none: a process that cannot answer is not found, and the log says so once; that it may
 *          not, bus_errors.h says.
 * Limits:  of each subject DISCOVERY_WAITING_MAX questions may wait; what comes beyond is dropped.
 * Memory:  the answers live as long as the process, since a question may come from libnats while
 *          its connection ends. The subscriptions outlive their connection, see bus_inbox.h.
 * Threads: discovery_init first, once; libnats' delivery thread answers, and waits no longer than
 *          the connection's write deadline, as do the answers that come after the question.
 */
#pragma once

#include "base/text.h"
#include <nats/nats.h>
#include <stddef.h>
#include <stdint.h>

enum { DISCOVERY_WAITING_MAX = 64 };

enum discovery_verb { DISCOVERY_PING, DISCOVERY_INFO, DISCOVERY_STATS, DISCOVERY_VERBS };

struct discovery; /* the subscriptions of one connection */
struct service;

struct discovery_fact {
    const char *name, *value;
};

/* Who answers; everything is borrowed. */
struct discovery_identity {
    const char *name;    /* letters, digits, '-' and '_': of all processes of the service */
    const char *id;      /* of this process; no dots or blanks */
    const char *version; /* as semver.org has it */
    const char *description;
    int64_t started_at_ms;
    const struct discovery_fact *facts;
    size_t fact_count;
};

/* What a process tells beyond what its service and its build know. */
struct discovery_options {
    const char *description;
    const uint8_t *id; /* EVENT_ID_SIZE bytes, if it has one; NULL: it gets a new one */
    int64_t http_port, partitions;
};

/* Appends the answer, as JSON. */
void discovery_write(enum discovery_verb verb, const struct discovery_identity *identity,
                     struct text *out);

/* Who the process is, from now on; once, and before there is a connection that is to answer. */
void discovery_init(const struct service *service, const struct discovery_options *options);

/* For the options of a connection that is to answer. The one delivery thread that libnats has for
 * the process then serves not only the questions but all that comes to callbacks of the connection,
 * the answers to its own requests among them: who uses it must not wait in a callback. */
void discovery_prepare(natsOptions *options);
/* Subscribes to what is asked, after discovery_init only: without it there is nobody to be found,
 * which is asserted. A connection that is refused is none the worse for it, see Errors.
 * Owned by the caller; NULL: nothing is answered. */
struct discovery *discovery_answer_on(natsConnection *connection);
/* Once the connection is closed, and not before. */
void discovery_drop(struct discovery **discovery);
