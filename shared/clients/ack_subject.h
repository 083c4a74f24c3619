/*
 * ack_subject.h — what a consumer's delivery says about itself, in its reply subject
 *
 * Why:   sequence, delivery count and time of a message are nowhere else; parsing them here costs
 *        a tenth of libnats's own metadata object, which is allocated for each message.
 * Shape: $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>, or
 *        the longer $JS.ACK.<domain>.<account>.<stream>. ... .<pending>[.<token>].
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ack_subject {
    const char *consumer; /* borrowed from the text */
    size_t consumer_size;
    uint64_t stream_seq, consumer_seq, pending;
    int64_t at_ms; /* the server's time of the message, Unix ms */
};

bool ack_subject_parse(const char *text, struct ack_subject *out);
