/*
 * kept_rows.h — some of the batches that a store holds, and what became of them
 *
 * Why:     the spool and the inbox are emptied alike: claim some rows, publish them, settle what
 *          came of it. A row carries its fate from one to the other.
 * Memory:  a struct kept_rows owns the rows' payloads until kept_rows_reset.
 * Limits:  KEPT_ROWS_MAX rows, and what struct kept_limits says.
 * Threads: one owner thread.
 */
#pragma once

#include "keep_line.h"

enum { KEPT_ROWS_MAX = 256, KEPT_PARTITIONS_MAX = 64, KEPT_KEY_SIZE = 96 };

enum kept_fate {
    FATE_KEPT,      /* nothing came of it: it stays as it is */
    FATE_PUBLISHED, /* the stream has it: delete it */
    FATE_REFUSED,   /* stays, with batch.attempt_k as it is now */
    FATE_DAMAGED,   /* will never be published: set it aside */
};

struct kept_row {
    int64_t id; /* the store's own name of it */
    struct kept_batch batch;
    int64_t kept_at_ms; /* Unix */
    enum kept_fate fate;
    const char *why; /* of FATE_DAMAGED; a literal */
    uint8_t *owned;  /* batch.bytes */
};

struct kept_rows {
    size_t count, size_bytes;
    struct kept_row rows[KEPT_ROWS_MAX];
};

/* What a claim may take: one row always, if there is one. */
struct kept_limits {
    size_t rows_max, bytes_max;
    uint64_t events_max;
    size_t payload_max;       /* what the server takes; a larger row is damaged, or left alone */
    uint64_t skip_partitions; /* bit p: leave partition p alone for now */
};

/* What a store holds. */
struct kept_state {
    int64_t batches, events, bytes;
    int64_t oldest_at_ms; /* Unix; 0: empty */
};

/* Copies the payload. ERROR_LIMIT: no room or no memory. */
MUST_CHECK bool kept_rows_add(struct kept_rows *rows, const struct kept_row *row,
                              struct error *err);
/* True when one more row with so many bytes and events is within the limits. */
bool kept_rows_has_room(const struct kept_rows *rows, const struct kept_limits *limits,
                        size_t size_bytes, uint32_t events);
void kept_rows_reset(struct kept_rows *rows);
size_t kept_rows_count(const struct kept_rows *rows, enum kept_fate fate);

/* "<gateway_id hex>.<thread>.<partition>.<batch_no>.<k>": the batch's Nats-Msg-Id. */
void kept_batch_id(const struct kept_batch *batch, char out[KEPT_KEY_SIZE]);

/* A store that is emptied. After a claim that gave rows comes one settle with the same rows, as
 * they are then. */
struct replay_source {
    const char *name; /* borrowed */
    bool (*claim)(void *ctx, const struct kept_limits *limits, struct kept_rows *out,
                  struct error *err);
    bool (*settle)(void *ctx, const struct kept_rows *rows, struct error *err);
    void *ctx;
};
