/*
 * codec_messages.h — events, headers and messages for the tests of codec.h
 */
#pragma once

#include "check.h"

#include "event/codec.h"
#include "event/event_id.h"

#include <stdio.h>
#include <string.h>

enum { BYTES_MAX = 16 * 1024, EVENTS_MAX = 8 };

static const int64_t at_ms = 1767323045678;

struct message {
    uint8_t bytes[BYTES_MAX];
    size_t size;
};

struct seen {
    size_t count;
    size_t stop_at; /* 0: never */
    struct event events[EVENTS_MAX];
    char whys[EVENTS_MAX][64]; /* "" for a good one */
};

static inline bool on_event(void *ctx, size_t index, const struct event *event, const char *why)
{
    struct seen *seen = ctx;

    assert_int_equal(index, seen->count);
    assert_true(index < EVENTS_MAX);
    assert_true((event == NULL) == (why != NULL));
    if (event != NULL)
        seen->events[index] = *event;
    (void)snprintf(seen->whys[index], sizeof(seen->whys[index]), "%s", why != NULL ? why : "");
    return ++seen->count != seen->stop_at;
}

static inline struct event full_event(void)
{
    struct event event = {
        .type = EVENT_THIRD_QUARTILE,
        .reason = EVENT_DOUBLE_CLICK,
        .flags = EVENT_CLOCK_SKEW | EVENT_CLIENT_TIME,
        .ad_id = "ad-001",
        .ad_id_size = 6,
        .ip = {.bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .size = 16},
        .visitor = UINT64_C(0xfedcba9876543210),
        .event_at_ms = at_ms - 5,
        .received_at_ms = at_ms,
        .playback_ms = 15700,
    };

    event_id_make(at_ms, event.id);
    return event;
}

static inline struct event least_event(void)
{
    struct event event = {
        .type = EVENT_CLICK,
        .ad_id = "1",
        .ad_id_size = 1,
        .event_at_ms = at_ms,
        .received_at_ms = at_ms,
        .playback_ms = EVENT_PLAYBACK_ABSENT,
    };

    event_id_make(at_ms, event.id);
    return event;
}

static inline struct codec_header good_header(void)
{
    return (struct codec_header){
        .gateway_id = {1, 2, 3, [15] = 16},
        .thread = 3,
        .partition = 2,
        .batch_no = 77,
        .sent_at_ms = at_ms,
        .settled_below = 76,
        .accepted = 12345,
        .spooled = {.count = 2, .rows = {{.first = 5, .last = 9, .events = 31}, {70, 70, 1}}},
        .abandoned = {.count = 1, .rows = {{.first = 71, .last = 75, .events = 0}}},
    };
}

static inline void append_event(struct message *message, const struct event *event)
{
    size_t size = codec_append_event(message->bytes + message->size, event);

    assert_true(size <= CODEC_EVENT_MAX);
    message->size += size;
}

static inline void append_header(struct message *message, const struct codec_header *header)
{
    size_t size = codec_append_header(message->bytes + message->size, header);

    assert_true(size <= CODEC_HEADER_MAX);
    message->size += size;
}

static inline void assert_same_event(const struct event *left, const struct event *right)
{
    assert_memory_equal(left->id, right->id, EVENT_ID_SIZE);
    assert_int_equal(left->type, right->type);
    assert_int_equal(left->reason, right->reason);
    assert_int_equal(left->flags, right->flags);
    assert_string_equal(left->ad_id, right->ad_id);
    assert_int_equal(left->ad_id_size, right->ad_id_size);
    assert_int_equal(left->ip.size, right->ip.size);
    assert_memory_equal(left->ip.bytes, right->ip.bytes, sizeof(left->ip.bytes));
    assert_true(left->visitor == right->visitor);
    assert_int_equal(left->event_at_ms, right->event_at_ms);
    assert_int_equal(left->received_at_ms, right->received_at_ms);
    assert_int_equal(left->playback_ms, right->playback_ms);
}

/* Appends one event field with these bytes. */
static inline void append_raw(struct message *message, const void *bytes, size_t size)
{
    uint8_t *at = message->bytes + message->size;

    *at++ = 0x82;
    *at++ = 0x01;
    *at++ = (uint8_t)((size & 0x7f) | 0x80);
    *at++ = (uint8_t)(size >> 7);
    memcpy(at, bytes, size);
    message->size += 4 + size;
}
