/*
 * ack.h — what JetStream answers to a publish
 *
 *   {"stream":"ADS_0","seq":7}                                        stored
 *   {"stream":"ADS_0","seq":7,"duplicate":true}                       stored by an earlier try
 *   {"stream":"ADS_0","seq":0,"duplicate":true}                       refused: R3 answers so for an
 *                                                                     id that it once refused
 *   {"error":{"code":503,"err_code":10077,"description":"..."},...}   refused
 *
 * Why:    an ack is what a 202 rests on, so it counts only when the right stream says seq > 0.
 * Errors: none: bytes that are none of the above are ACK_GARBLED, and worth as much as silence.
 * Shape:  pure; reads untrusted bytes, allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ack_verdict {
    ACK_STORED,
    ACK_REFUSED, /* not stored; another try needs a new Nats-Msg-Id */
    ACK_GARBLED, /* says nothing about the batch */
};

struct ack {
    enum ack_verdict verdict;
    uint64_t seq; /* of a stored batch */
    bool is_duplicate;
    uint32_t error_code; /* the server's err_code of a refusal; 0: none was given */
};

struct ack ack_parse(const char *bytes, size_t size_bytes, const char *stream);

/* True when the same batch cannot succeed within the second: what is full stays full. */
bool ack_is_final(uint32_t error_code);
