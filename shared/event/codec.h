/*
 * codec.h — events to and from the bytes on the stream (proto/adledger/v1/events.proto)
 *
 * A batch is built by appending events as they come and the header last: protobuf lets fields
 * stand in any order, so nothing is copied twice.
 *
 * Errors:  reading returns ERROR_INVALID for bytes that are no batch or break a rule of the proto,
 *          ERROR_LIMIT without memory or when the caller's each stops it.
 * Memory:  reading takes one block for the length of the call; an event is borrowed until each
 *          returns.
 * Threads: any; nothing is kept between calls.
 */
#pragma once

#include "base/error.h"
#include "event/event.h"

enum {
    CODEC_EVENT_MAX = 192, /* bytes that are always enough */
    CODEC_HEADER_MAX = 768,
    CODEC_RANGES_MAX = 8, /* of each fate in one header */
    CODEC_PLAYBACK_MAX_MS = EVENT_PLAYBACK_MAX_S * 1000,
};

/* Batch numbers of one lane, first and last included. */
struct codec_range {
    uint64_t first, last;
    uint64_t events; /* in these batches */
};

struct codec_ranges {
    size_t count;
    struct codec_range rows[CODEC_RANGES_MAX];
};

struct codec_header {
    uint8_t gateway_id[16];
    uint32_t thread;
    uint32_t partition;
    uint64_t batch_no;
    int64_t sent_at_ms;
    uint64_t settled_below;
    uint64_t accepted; /* events answered 202 in the batches below settled_below */
    struct codec_ranges spooled, abandoned;
};

/* Appends one EventBatch.events field; returns the bytes written (<= CODEC_EVENT_MAX). */
size_t codec_append_event(uint8_t *out, const struct event *event);

/* Appends the EventBatch's own fields; returns the bytes written (<= CODEC_HEADER_MAX). */
size_t codec_append_header(uint8_t *out, const struct codec_header *header);

/*
 * Reads one message. Calls each for every event that obeys the proto; a malformed event inside a
 * readable batch is reported with event NULL, its index and why, and costs only itself. When the
 * message as a whole is wrong (cut short, no proper header), each is not called at all. An each
 * that returns false ends the reading, which then fails with ERROR_LIMIT.
 */
typedef bool (*codec_each_fn)(void *ctx, size_t index, const struct event *event, const char *why);
MUST_CHECK bool codec_read_batch(const uint8_t *bytes, size_t size_bytes,
                                 struct codec_header *out_header, codec_each_fn each, void *ctx,
                                 struct error *err);

/* The bytes of one event as they were sent, for a dead letter: with the field's tag, so that behind
 * a header they are a batch of one event. A view into bytes; false: there is no such event. */
bool codec_find_event(const uint8_t *bytes, size_t size_bytes, size_t index,
                      const uint8_t **out_event, size_t *out_size_bytes);
