/*
 * batch.h — what one transaction stores: decoded messages, and what had to be set aside
 *
 * Why:    a bad event costs one event. Whatever cannot be stored becomes a dead letter here, with
 *         its reason and its original bytes, beside the rows that can.
 * Shape:  three arrays that grow: heads (one a message), rows (one a readable event) and letters.
 *         A row keeps its place whatever happens to it; its fate tells.
 * Memory: the arrays are owned and used again after batch_reset; payloads are views into the
 *         messages, which must stay until the batch is stored or reset.
 * Limits: whoever adds messages stops at its own limit of events; a message is added whole.
 *
 *   batch_add --> PENDING ----------- the INSERT took it ------------> STORED
 *                  |   \------------- it was there already ----------> DUPLICATE
 *                  \-- batch_set_aside: out of range, unknown ad, refused --> DEAD
 */
#pragma once

#include "base/error.h"
#include "event/codec.h"

struct reader_message;

enum row_fate { ROW_PENDING, ROW_STORED, ROW_DUPLICATE, ROW_DEAD };

/* Why something is a dead letter. A refusal by the database has its SQLSTATE as code. */
enum letter_code {
    LETTER_UNDECODABLE,   /* the whole message is no batch, or not one of this partition */
    LETTER_INVALID_EVENT, /* one event breaks a rule of the proto */
    LETTER_OUT_OF_RANGE,  /* its day is not kept */
    LETTER_UNKNOWN_AD,    /* nobody knew the catalogue then, and the ad is not in it */
    LETTER_REFUSED,       /* a constraint or a type of the database */
    LETTER_CODE_COUNT,
};

/* Names for labels and for dead_letters.code; NULL-terminated. */
extern const char *const letter_code_names[LETTER_CODE_COUNT + 1];

enum { LETTER_CODE_SIZE = 16, LETTER_DETAIL_SIZE = 160, LETTER_WHOLE_MESSAGE = -1 };

struct batch_head {
    struct codec_header header;
    uint64_t seq;         /* of the stream */
    int64_t stored_at_ms; /* when the stream took it, Unix ms */
    const uint8_t *bytes; /* borrowed: the message */
    size_t size_bytes;
    uint32_t events; /* as sent, unreadable ones included */
    uint32_t letters;
    uint32_t stored;
    bool is_filed; /* has a row in batches; false: not readable, or its day is not kept */
    bool is_new;   /* set by the store: nobody stored this batch before */
};

struct batch_row {
    struct event event;
    uint32_t head;  /* index of its message */
    uint32_t index; /* in its message */
    enum row_fate fate;
};

struct batch_letter {
    uint32_t head;
    int32_t index; /* of the event in its message, or LETTER_WHOLE_MESSAGE */
    enum letter_code reason;
    char code[LETTER_CODE_SIZE];
    char detail[LETTER_DETAIL_SIZE]; /* printable ASCII */
    const uint8_t *payload;          /* borrowed from the message */
    size_t payload_size;
    uint32_t row; /* the row that it was, when has_row */
    bool has_row; /* false: it could not be read */
};

struct batch {
    uint32_t partition;
    int64_t now_at_ms; /* what is too old or too new is measured from here */
    int64_t retention_days;
    struct batch_head *heads;
    struct batch_row *rows;
    struct batch_letter *letters;
    size_t head_count, head_capacity;
    size_t row_count, row_capacity;
    size_t letter_count, letter_capacity;
    size_t unresolved_count; /* rows whose ad has to be looked up */
    size_t decoded_letters;  /* letters that no attempt to store takes back */
    bool failed;             /* no memory while adding */
};

struct batch *batch_new(uint32_t partition, int64_t retention_days); /* NULL: no memory */
void batch_free(struct batch **batch);
void batch_reset(struct batch *batch, int64_t now_at_ms);

/* Decodes one message. ERROR_LIMIT: no memory; a message that is no batch is a letter, no error. */
MUST_CHECK bool batch_add(struct batch *batch, const struct reader_message *message,
                          struct error *err);

/* The row becomes a letter. code NULL: the name of the reason. ERROR_LIMIT: no memory. */
MUST_CHECK bool batch_set_aside(struct batch *batch, size_t row, enum letter_code reason,
                                const char *code, const char *detail, struct error *err);

/* What was decoded and resolved stays as it is: from here on batch_begin_attempt returns to. */
void batch_seal(struct batch *batch);
/* Back to the seal: no row is stored yet, and letters that an attempt had added are gone. */
void batch_begin_attempt(struct batch *batch);

/* The event of a letter, NULL when it could not be read. */
const struct event *batch_event_of(const struct batch *batch, const struct batch_letter *letter);

/* The sequence that the position moves to. The batch holds at least one message. */
uint64_t batch_last_seq(const struct batch *batch);
