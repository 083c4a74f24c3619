/*
 * dlq_letters.h — one round of dlq.h: the letters that nobody was told of, told
 *
 * Errors:  what PostgreSQL or NATS failed with; call again. What was acknowledged is marked first.
 * Threads: any one; pg is the caller's.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;
struct pg;
struct text;

enum { DLQ_PAGE = 20, DLQ_COUNTED_MAX = 100000 };

#define DLQ_STREAM  "ADS_DLQ"
#define DLQ_SUBJECT "ads.dlq." /* and the partition */

struct dlq_round {
    int64_t max_bytes;             /* of the stream */
    int replicas;                  /* when it is made */
    bool (*is_running)(void *ctx); /* asked between two letters; false: leave the rest */
    void *ctx;
    bool is_stream_there;          /* kept from round to round */
    size_t unpublished, told, cut; /* what this round found and did */
};

MUST_CHECK bool dlq_letters_tell(struct dlq_round *round, struct pg *pg, struct bus *bus,
                                 struct error *err);

/* fields is a JSON object; out becomes it with the payload added, or, when that would be larger
 * than max_bytes, with payload null and its size. True: the payload is in it. */
bool dlq_letters_format(struct text *out, const char *fields, const char *payload_base64,
                        size_t max_bytes);
