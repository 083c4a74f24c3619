/*
 * decode.h — from the bytes a client sent to a checked event
 *
 * Why:     one place knows every spelling of a field, every bound and every code of docs/api.md.
 * Errors:  faults, not struct error: a client is told every field that is wrong, by stable codes.
 *          The first fault decides the HTTP status (fault_status).
 * Threads: one struct decoder per thread; it owns the arena that jansson allocates from.
 * Limits:  the constants below; the size of a whole body is the caller's to limit.
 */
#pragma once

#include "event/event.h"
#include "event/fault.h"

enum {
    DECODE_DEPTH_MAX = 8,         /* nesting of the whole body, a batch's array included */
    DECODE_EVENT_MAX = 16 * 1024, /* bytes of one event, alone or in a batch */
};

/* What the request says besides its body. */
struct decode_context {
    int64_t received_at_ms;
    enum event_type type;        /* EVENT_UNSPECIFIED: the body must name it */
    bool trust_ip;               /* the body's ip counts */
    struct event_ip peer_ip;     /* the connection's, or what a trusted proxy says */
    const char *idempotency_key; /* borrowed, not terminated; NULL: none; a batch ignores it */
    size_t idempotency_key_size;
};

struct decoded {
    struct event event; /* visitor is left 0: the caller hashes, who knows the salt */
    char client_id[EVENT_ID_TEXT_SIZE]; /* to echo: the client's own text, or the one we made */
};

/* How deep a JSON text nests. Of what is no JSON the count means nothing; but that is refused in
 * any case. For the bodies of other routes than the decoder's, which keep DECODE_DEPTH_MAX too. */
int decode_depth(const char *text, size_t size_bytes);

struct decoder;
struct decoder *decoder_new(void); /* NULL: no memory */
void decoder_free(struct decoder **decoder);

/* One JSON object. False: faults says why, and out is not written. */
bool decode_event(struct decoder *decoder, const char *body, size_t size_bytes,
                  const struct decode_context *context, struct decoded *out, struct faults *faults);

/*
 * A batch: a JSON array, or NDJSON when is_ndjson (blank lines do not count). Calls each for every
 * element in order, with either decoded or faults. False: the body as a whole is wrong (no array by
 * JSON's grammar, over events_max, no events), each was not called, faults says why. Everything
 * else costs one element: an NDJSON line that is not JSON, a key that stands twice, over
 * DECODE_EVENT_MAX.
 */
typedef void (*decode_each_fn)(void *ctx, size_t index, const struct decoded *decoded,
                               const struct faults *faults);
bool decode_batch(struct decoder *decoder, const char *body, size_t size_bytes, bool is_ndjson,
                  size_t events_max, const struct decode_context *context, struct faults *faults,
                  decode_each_fn each, void *ctx);
