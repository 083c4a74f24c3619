/*
 * letter.h — a dead letter's bytes, and the batch that brings them back
 *
 * Why:     a letter that is one event holds that event's field of its batch (codec_find_event):
 *          behind a header it is a batch of one event again.
 * Shape:   pure.
 * Errors:  those of codec_read_batch.
 */
#pragma once

#include "event/codec.h"

enum { LETTER_CODE_SIZE = 32 }; /* with its NUL */

/* A lane of its own for each replay: its numbers are told as abandoned, for nothing of it was ever
 * promised. The letter's first 202 was counted when it died. */
struct letter_lane {
    uint8_t gateway_id[16];
    uint32_t partition;
    uint64_t count; /* letters of the replay in this partition: the numbers are 1 to count */
};

/* Returns the header's bytes (<= CODEC_HEADER_MAX). */
size_t letter_header(const struct letter_lane *lane, uint64_t number, int64_t at_ms, uint8_t *out);

/* Reads a letter that is one event. */
MUST_CHECK bool letter_read(const uint8_t *bytes, size_t size_bytes, codec_each_fn each, void *ctx,
                            struct error *err);

/* What a code looks like, known or not: letters, digits and _. */
bool letter_code_is_valid(const char *text, size_t size_bytes);

/* A letter's id as it stands in a path: decimal digits, 1 and above. */
bool letter_id_parse(const char *text, size_t size_bytes, int64_t *out_id);
