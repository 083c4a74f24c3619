/*
 * bus_errors.h — what goes wrong on a connection to NATS that no call returns
 *
 * Why:     the server says of a subject that is denied only to the connection, not to who has
 *          published or subscribed; libnats would write it to stderr.
 * Shape:   a right that is missing is a warning, once for each kind of subject: up to the stream's
 *          name or else the last dot, since what follows is a partition or a name for one use. All
 * of "$SRV." is one kind, and harmless: the process is not listed, see discovery.h. Everything
 * else, which some call or the loss of the connection tells as well, stands in the log at debug.
 * Limits:  the last BUS_ERRORS_KINDS_MAX kinds are known; one from before is told again.
 * Threads: libnats' callback thread; the kinds are the process's, behind a lock.
 */
#pragma once

#include <nats/nats.h>
#include <stdbool.h>

enum { BUS_ERRORS_KINDS_MAX = 16 };

/* For the options of any connection. */
natsStatus bus_errors_log(natsOptions *options);

/* Whether the server's text is of a kind that has not been told yet; from now on it has. */
bool bus_errors_is_news(const char *why);
