/*
 * bus.h — the connection to NATS for worker threads, and the streams on it
 *
 * Why:     reconnects for ever, refuses a server that cannot sync (below 2.10), makes streams and
 *          trims them. The gateway's loops have their own connections (services/gateway); they
 *          share bus_options_new.
 * Errors:  ERROR_UNAVAILABLE while there is no broker; every request ends after request_ms.
 * Anew:    libnats closes a connection for good when its credentials are refused twice, and the
 *          endpoint may get another address or password. The next call of bus_connection then has
 *          a thread of the bus's own make a new one, at once for a new endpoint, else once a
 *          second, or every few seconds while the old one works. The old one is closed when there
 *          is a new one, so that a wrong address costs nothing that works; nobody waits for the
 *          try but who has started it without a connection, and that connect_ms at most.
 * Memory:  old connections stay valid for the BUS_RETIRED_MAX next ones: fetch the pointer for
 *          each use.
 * Threads: libnats is thread-safe; a struct bus may be shared by the partition threads of a
 *          service.
 */
#pragma once

#include "base/breaker.h"
#include "base/error.h"
#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

enum { BUS_RETIRED_MAX = 16 };

struct bus;
struct bus_ended;
struct endpoint;

struct bus_options {
    struct endpoint *endpoint; /* see nats_address.h; borrowed until bus_close */
    const char *name;          /* connection name, for the server's monitoring; borrowed likewise */
    int connect_ms, request_ms;
    bool is_discoverable; /* answers NATS's service protocol, see discovery.h */
};

/* libnats options with what every connection of ours needs: no reconnect limit, no reconnect
 * buffer, send at once, login and TLS as the endpoint says; a certificate and the host's name in it
 * are always checked. Owned by the caller; NULL: err says why.
 * out_version is the endpoint's, and may be NULL. */
natsOptions *bus_options_new(const struct bus_options *options, uint64_t *out_version,
                             struct error *err);

/* What a call of libnats that failed just now says of it; valid until the thread's next call. */
const char *bus_status_text(natsStatus status);

/* Connects, or fails; ERROR_INTERNAL for a server that is too old. Every server of the list may
 * take connect_ms, the look at the version of the one that answers as long again, and a name
 * whatever the resolver takes. */
struct bus *bus_open(const struct bus_options *options, struct error *err);
/* Waits for a new connection that is being made: as long as bus_open. */
void bus_close(struct bus **bus);
bool bus_is_connected(const struct bus *bus);
natsConnection *bus_connection(struct bus *bus); /* borrowed, see Memory */
jsCtx *bus_jetstream(struct bus *bus);           /* borrowed, see Memory */
int bus_request_ms(const struct bus *bus);

/* A request that waits for an answer asks the bus's breaker first, and tells it what came of it:
 * js_api.h does. Only the importer, which has the bus to itself and all the time, just tries. */
bool bus_ask(struct bus *bus, struct breaker_permit *out_permit);
void bus_tell(struct bus *bus, const struct breaker_permit *permit, enum error_kind kind);

/* Grows with every loss and every return of the connection: what was asked for before is void. */
uint64_t bus_epoch(const struct bus *bus);

struct bus_ended *bus_ended(struct bus *bus); /* for bus_inbox.h */

struct stream_limits {
    int64_t max_bytes;
    int64_t dedup_window_ms;
    int replicas; /* only when the stream is made */
};

struct stream_state {
    uint64_t first_seq, last_seq, messages, bytes;
    int64_t created_at_ms;
};

#define STREAM_PREFIX "ADS_" /* then the partition */

enum { STREAM_NAME_SIZE = 32, STREAM_SUBJECT_SIZE = 48 };

void stream_name(uint32_t partition, char out[STREAM_NAME_SIZE]);       /* "ADS_0" */
void stream_subject(uint32_t partition, char out[STREAM_SUBJECT_SIZE]); /* "ads.events.0" */

/* Makes the stream unless it is there; first_seq = max(now in µs, stored_position + 1). A stream
 * that is there keeps all but max_bytes and the dedup window, which become what limits say. */
MUST_CHECK bool stream_ensure(struct bus *bus, uint32_t partition,
                              const struct stream_limits *limits, uint64_t stored_position,
                              int64_t at_ms, struct error *err);
/* ERROR_INVALID: there is no such stream. */
MUST_CHECK bool stream_get_state(struct bus *bus, uint32_t partition, struct stream_state *out,
                                 struct error *err);
/* Purges every message below seq; a seq beyond the last message purges all and no more: the
 * sequence of the next message stays what it is. */
MUST_CHECK bool stream_trim(struct bus *bus, uint32_t partition, uint64_t below_seq,
                            struct error *err);
/* The server's time of message seq, Unix ms; ERROR_INVALID: no such message. */
MUST_CHECK bool stream_message_at_ms(struct bus *bus, uint32_t partition, uint64_t seq,
                                     int64_t *out_at_ms, struct error *err);
