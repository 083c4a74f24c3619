/*
 * decoding.h — one body through the decoder, for the tests of decode.h
 *
 * decode(body) uses a context that a test may change first: received at 2026-01-02T03:04:05.678Z,
 * a click, the body's address trusted, the peer 198.51.100.7.
 */
#pragma once

#include "check.h"

#include "event/decode.h"
#include "event/event_id.h"
#include "event/visitor.h"

#include <stdio.h>
#include <string.h>

static const int64_t received_at_ms = 1767323045678;

struct decoding {
    struct decode_context context;
    bool ok;
    struct decoded out;
    struct faults faults;
};

static inline struct decoding a_click(void)
{
    struct decoding decoding = {
        .context =
            {
                .received_at_ms = received_at_ms,
                .type = EVENT_CLICK,
                .trust_ip = true,
                .peer_ip = {.bytes = {198, 51, 100, 7}, .size = 4},
            },
    };

    return decoding;
}

static inline void decode_bytes(struct decoding *decoding, const char *body, size_t size_bytes)
{
    struct decoder *decoder = decoder_new();

    assert_non_null(decoder);
    decoding->ok = decode_event(decoder, body, size_bytes, &decoding->context, &decoding->out,
                                &decoding->faults);
    assert_int_equal(decoding->ok, decoding->faults.count == 0);
    decoder_free(&decoder);
    assert_null(decoder);
}

static inline struct decoding decode(const char *body)
{
    struct decoding decoding = a_click();

    decode_bytes(&decoding, body, strlen(body));
    return decoding;
}

static inline void assert_taken(const struct decoding *decoding, const char *body)
{
    if (!decoding->ok)
        fail_msg("%s: %s %s: %s", body, fault_text(decoding->faults.rows[0].code),
                 decoding->faults.rows[0].field, decoding->faults.rows[0].detail);
}

static inline void assert_fault(const struct decoding *decoding, const char *body,
                                enum fault_code code, const char *field)
{
    if (decoding->ok)
        fail_msg("taken: %s", body);
    if (decoding->faults.rows[0].code != code || strcmp(decoding->faults.rows[0].field, field) != 0)
        fail_msg("%s: %s \"%s\" instead of %s \"%s\"", body,
                 fault_text(decoding->faults.rows[0].code), decoding->faults.rows[0].field,
                 fault_text(code), field);
    assert_int_not_equal(strlen(decoding->faults.rows[0].detail), 0);
}
