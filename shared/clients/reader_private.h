/*
 * reader_private.h — what reader.c and reader_pull.c share; nobody else includes it
 *
 * reader.c decides which messages are handed out; reader_pull.c keeps a consumer and enough pull
 * requests on the broker, and turns what arrives into one of five things.
 *
 *   NO CONSUMER --pull_open--> OPEN --message--> seq, seq + 1, ...
 *        ^                      |
 *        +----- pull_drop ------+  a gap, an error status, a reconnect, silence, a rewind
 */
#pragma once

#include "clients/ack_subject.h"
#include "clients/bus_inbox.h"
#include "clients/reader.h"

/* PULLS_TIMED: pull requests whose end is remembered; about two wait at a time. */
enum { CONSUMER_NAME_SIZE = 48, INBOX_SIZE = 96, PULLS_TIMED = 4 };

/* A consumer on the broker and what was asked of it. */
struct pull {
    struct bus_inbox inbox; /* none: no consumer */
    char consumer[CONSUMER_NAME_SIZE];
    char reply[INBOX_SIZE];       /* the inbox without its last token */
    uint64_t epoch;               /* of the bus when the consumer was made */
    uint64_t consumer_seq;        /* of the last delivery */
    uint64_t token;               /* of the last pull request */
    uint64_t credit;              /* messages asked for that have not come */
    int64_t silent_after_ms;      /* by then the last pull request has been answered, or never */
    int64_t ends_ms[PULLS_TIMED]; /* by token: before that no request ends for want of messages */
    int64_t drained_ms; /* of PULL_DRAINED: the server had nothing more then, on clock_now_ms */
    size_t bytes_max;   /* of one pull request; grows when a message does not fit */
};

/* A delivery whose place in the order has been checked. */
struct delivery {
    natsMsg *message;
    struct ack_subject about;
};

enum pull_event {
    PULL_NOTHING, /* nothing within the time given */
    PULL_MESSAGE, /* *out holds the next message */
    PULL_STATUS,  /* a pull request has ended, or something stale was thrown away */
    PULL_DRAINED, /* likewise, and the server had nothing more for it */
    PULL_LOST,    /* the consumer no longer serves: drop it and make another */
};

/* Makes a consumer that begins at position + 1; out_pending: the messages from there on.
 * ERROR_INVALID: the stream is gone. */
MUST_CHECK bool pull_open(struct pull *pull, struct bus *bus, const struct reader_options *options,
                          uint64_t position, uint64_t *out_pending, struct error *err);
static inline bool pull_is_open(const struct pull *pull)
{
    return pull->inbox.bus != NULL;
}

/* Forgets the consumer and what it has sent; the server is told, without waiting. */
void pull_drop(struct pull *pull, struct bus *bus, const struct reader_options *options);
/* Sends the next pull request when half of what was asked for has come. False: no connection. */
bool pull_ask(struct pull *pull, struct bus *bus, const struct reader_options *options);
enum pull_event pull_next(struct pull *pull, const struct reader_options *options, int64_t wait_ms,
                          struct delivery *out);
