#include "clients/reader_private.h"

#include "base/auto.h"
#include "clients/clients_metrics.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stdlib.h>

/* A long wait is cut into slices: a connection that was lost and came back is noticed in between.
 */
enum { WAIT_SLICE_MS = 200 };

struct reader {
    struct bus *bus; /* borrowed */
    struct reader_options options;
    struct pull pull;
    uint64_t position; /* of the last message handed out */
    uint64_t advanced; /* of the last message that the caller is done with */
    uint64_t gap;
    uint64_t pending;      /* as the server said last */
    int64_t drained_at_ms; /* see reader_drained_at_ms */

    /* What the last fetch handed out; both arrays have messages_max places. */
    struct reader_message *messages;
    natsMsg **held;
    size_t count;
    size_t bytes;

    struct delivery carried; /* came after a jump in the sequence: the next fetch's first */
};

static bool attach(struct reader *reader, struct error *err);
static enum pull_event collect(struct reader *reader, int wait_ms, int linger_ms);
static bool take(struct reader *reader, struct delivery *delivery);
static bool explain_loss(const struct reader *reader, struct error *err);

static void release(struct reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        natsMsg_Destroy(reader->held[i]);
    reader->count = 0;
    reader->bytes = 0;
}

/* Makes the next fetch begin with a new consumer. */
static void detach(struct reader *reader)
{
    natsMsg_Destroy(reader->carried.message);
    reader->carried.message = NULL;
    pull_drop(&reader->pull, reader->bus, &reader->options);
}

struct reader *reader_new(struct bus *bus, const struct reader_options *options, struct error *err)
{
    AUTO(reader_close) struct reader *reader = calloc(1, sizeof(*reader));

    assert(options->messages_max > 0);
    if (reader != NULL) {
        reader->bus = bus;
        reader->options = *options;
        reader->messages = calloc(options->messages_max, sizeof(*reader->messages));
        reader->held = calloc(options->messages_max, sizeof(*reader->held));
    }
    if (reader == NULL || reader->messages == NULL || reader->held == NULL) {
        error_set(err, ERROR_LIMIT, "reader: no memory for %zu messages", options->messages_max);
        return NULL;
    }
    return TAKE(reader);
}

void reader_close(struct reader **reader)
{
    if (*reader == NULL)
        return;
    release(*reader);
    detach(*reader);
    free((*reader)->messages);
    free((*reader)->held);
    free(*reader);
    *reader = NULL;
}

void reader_rewind(struct reader *reader, uint64_t position)
{
    release(reader);
    if (position != reader->position)
        detach(reader);
    reader->position = position;
    reader->advanced = position;
}

void reader_advance(struct reader *reader, uint64_t position)
{
    assert(position <= reader->position);
    reader->advanced = position;
}

bool reader_fetch(struct reader *reader, int wait_ms, int linger_ms,
                  const struct reader_message **out_messages, size_t *out_count, struct error *err)
{
    enum pull_event last;

    release(reader);
    if (reader->advanced != reader->position)
        reader_rewind(reader, reader->advanced);
    if (!attach(reader, err))
        return false;
    reader->gap = 0;
    last = collect(reader, wait_ms, linger_ms);
    if (last == PULL_LOST)
        detach(reader);
    if (last == PULL_LOST && reader->count == 0)
        return explain_loss(reader, err);
    clients_count(METRIC_reader_messages_total, (int64_t)reader->count);
    clients_count(METRIC_reader_bytes_total, (int64_t)reader->bytes);
    *out_messages = reader->messages;
    *out_count = reader->count;
    return true;
}

static bool is_current(const struct reader *reader)
{
    return reader->pull.epoch == bus_epoch(reader->bus);
}

/* A server that was away may have forgotten the consumer, or sent what never arrived. */
static bool attach(struct reader *reader, struct error *err)
{
    int64_t at_ms = clock_at_ms(); /* before the server is asked */

    if (pull_is_open(&reader->pull) && !is_current(reader))
        detach(reader);
    if (pull_is_open(&reader->pull))
        return true;
    if (!pull_open(&reader->pull, reader->bus, &reader->options, reader->position, &reader->pending,
                   err))
        return false;
    reader->drained_at_ms = reader->pending == 0 ? at_ms : 0;
    return true;
}

static bool is_full(const struct reader *reader)
{
    return reader->count == reader->options.messages_max ||
           reader->bytes >= reader->options.bytes_max;
}

static int64_t slice(int64_t left_ms)
{
    if (left_ms <= 0)
        return 0; /* takes only what has arrived already */
    return left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS;
}

/* One step; PULL_STATUS: go on, PULL_NOTHING: the time is over. */
static enum pull_event step(struct reader *reader, int64_t left_ms, struct delivery *delivery)
{
    enum pull_event event;

    if (!pull_ask(&reader->pull, reader->bus, &reader->options))
        return PULL_LOST;
    event = pull_next(&reader->pull, &reader->options, slice(left_ms), delivery);
    if (event != PULL_NOTHING || left_ms <= 0)
        return event;
    return is_current(reader) ? PULL_STATUS : PULL_LOST;
}

static void note_drained(struct reader *reader)
{
    int64_t ago_ms = clock_now_ms() - reader->pull.drained_ms;

    reader->pending = 0;
    reader->drained_at_ms = clock_at_ms() - (ago_ms > 0 ? ago_ms : 0);
}

/* Returns what ended the collecting; PULL_MESSAGE: the fetch is full or at a jump. */
static enum pull_event collect(struct reader *reader, int wait_ms, int linger_ms)
{
    int64_t deadline_ms = clock_now_ms() + wait_ms;
    struct delivery delivery = reader->carried;
    enum pull_event event = delivery.message == NULL ? PULL_STATUS : PULL_MESSAGE;

    reader->carried.message = NULL;
    for (;;) {
        if (event == PULL_MESSAGE && !take(reader, &delivery))
            return reader->carried.message == NULL ? PULL_LOST : PULL_MESSAGE;
        if (event == PULL_MESSAGE && is_full(reader))
            return PULL_MESSAGE;
        if (event == PULL_MESSAGE && reader->count == 1)
            deadline_ms = clock_now_ms() + linger_ms;
        event = step(reader, deadline_ms - clock_now_ms(), &delivery);
        if (event == PULL_DRAINED)
            note_drained(reader);
        if (event == PULL_LOST || event == PULL_NOTHING)
            return event;
    }
}

/*
 * False: not taken. A jump inside a fetch is carried over to the next one, so that reader_gap has
 * one meaning; a step back cannot be and is thrown away.
 */
static bool take(struct reader *reader, struct delivery *delivery)
{
    uint64_t seq = delivery->about.stream_seq;
    struct reader_message *message = &reader->messages[reader->count];

    if (seq <= reader->position) {
        natsMsg_Destroy(delivery->message);
        return false;
    }
    if (reader->count > 0 && seq != reader->position + 1) {
        reader->carried = *delivery;
        return false;
    }
    if (reader->count == 0 && reader->position > 0)
        reader->gap = seq - reader->position - 1;
    message->seq = seq;
    message->stored_at_ms = delivery->about.at_ms;
    message->bytes = (const uint8_t *)natsMsg_GetData(delivery->message);
    message->size_bytes = (size_t)natsMsg_GetDataLength(delivery->message);
    reader->held[reader->count++] = delivery->message;
    reader->bytes += message->size_bytes;
    reader->position = seq;
    reader->pending = delivery->about.pending;
    reader->drained_at_ms = 0;
    return true;
}

static bool explain_loss(const struct reader *reader, struct error *err)
{
    if (!bus_is_connected(reader->bus))
        return error_set(err, ERROR_UNAVAILABLE, "reader: partition %u: no connection to NATS",
                         reader->options.partition);
    return error_set(err, ERROR_UNAVAILABLE,
                     "reader: partition %u: the consumer was lost and is made anew",
                     reader->options.partition);
}

uint64_t reader_gap(const struct reader *reader)
{
    return reader->gap;
}

uint64_t reader_pending(const struct reader *reader)
{
    return reader->pending;
}

int64_t reader_drained_at_ms(const struct reader *reader)
{
    return reader->drained_at_ms;
}
