/*
 * reader.h — one partition of the stream, in order, from a position that the caller stores
 *
 * Why:     the position lives with the state it belongs to, so the broker keeps no ack state for
 *          us: an ephemeral pull consumer with AckNone from position + 1, and every message's
 *          consumer_seq must be the last + 1. On a gap, an error status or a reconnect the consumer
 *          is made anew from the position of the last message that was handed out.
 * Errors:  see reader_fetch; after each of them the next fetch goes on at the right place.
 * Memory:  messages are borrowed from the reader until the next fetch, rewind or close.
 * Limits:  at most messages_max and about bytes_max a fetch, and at most two pull requests of that
 *          size wait unread; every wait has a deadline.
 * Threads: one owner thread.
 *
 *   reader_fetch -> [message seq 101, 102, ...] -> store/apply with position 102
 *     on success: reader_advance(102)
 *     on failure: reader_rewind(position read back from the store)
 */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct bus;
struct reader;

struct reader_options {
    uint32_t partition;
    size_t messages_max; /* per fetch */
    size_t bytes_max;    /* per fetch, soft: checked after each message */
    int request_ms;      /* deadline of consumer creation and of each pull */
};

struct reader_message {
    uint64_t seq;         /* of the stream */
    int64_t stored_at_ms; /* the server's time of the message, Unix ms */
    const uint8_t *bytes; /* borrowed */
    size_t size_bytes;
};

struct reader *reader_new(struct bus *bus, const struct reader_options *options, struct error *err);
void reader_close(struct reader **reader);

/* The next fetch begins at position + 1; 0 is the beginning. Drops what is held. */
void reader_rewind(struct reader *reader, uint64_t position);
/* The messages up to position are done with. What was handed out beyond it comes again. */
void reader_advance(struct reader *reader, uint64_t position);

/*
 * Waits up to wait_ms for the first message, then up to linger_ms for more; making a consumer
 * takes request_ms at most on top. *out_count may be 0.
 * ERROR_UNAVAILABLE: no broker, or a gap that a new consumer will heal: call again.
 * ERROR_INVALID: the stream is gone.
 * A first message beyond position + 1 is handed out (a stream made anew, or messages that were
 * removed): reader_gap tells how many sequence numbers were skipped. Within one fetch the numbers
 * are dense.
 */
MUST_CHECK bool reader_fetch(struct reader *reader, int wait_ms, int linger_ms,
                             const struct reader_message **out_messages, size_t *out_count,
                             struct error *err);
/* Skipped before the last fetch's first message; 0: none, or the fetch began at position 0. */
uint64_t reader_gap(const struct reader *reader);
/* Messages on the stream behind the last one fetched, as the server said last. */
uint64_t reader_pending(const struct reader *reader);
/* Unix ms of the last moment at which, by the server's word, nothing was behind the last one
 * fetched, however late that word was read; 0: it has not said so. A silent server says nothing. */
int64_t reader_drained_at_ms(const struct reader *reader);
