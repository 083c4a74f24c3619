/*
 * messages.h — stream messages for tests, built with the real codec
 *
 * Memory: a message's bytes lie in the struct.
 */
#pragma once

#include "clients/reader.h"
#include "event/codec.h"
#include "event/event.h"

enum { MESSAGE_BYTES_MAX = 64 * 1024 };

struct message {
    struct codec_header header;
    uint8_t bytes[MESSAGE_BYTES_MAX];
    size_t size;
};

/* A header of partition 0 that was sent at at_ms. */
void message_begin(struct message *message, uint64_t batch_no, int64_t at_ms);
void message_add(struct message *message, const struct event *event);
/* An event that breaks the proto: its ad's name is not allowed. */
void message_add_malformed(struct message *message);
/* Writes the header and gives what the reader would give. */
struct reader_message message_end(struct message *message, uint64_t seq);

/* A valid click; two of the same number are the same event. */
struct event click_of(const char *ad_id, int64_t at_ms, uint8_t number);
