#include "replay_wire.h"

#include "ack.h"
#include "base/auto.h"
#include "clients/auto_nats.h"
#include "clients/bus_inbox.h"
#include "metrics.h"
#include "replay_window.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INBOX_SIZE = 96, REPLY_SIZE = INBOX_SIZE + 32 };

struct replay_wire {
    struct bus_options options;
    int ack_ms, queued_max_ms;
    struct bus *bus; /* NULL: never connected */
    struct bus_inbox replies;
    char inbox[INBOX_SIZE];
    uint32_t round; /* grows, so that a late reply is no answer to a newer row */
    struct replay_window window;
};

/* A round, and where it is. */
struct round {
    struct replay_wire *wire;
    struct kept_rows *rows;
    struct replay_tally *tally;
    size_t next, under_way;
    int64_t silent_at_ms, ends_at_ms;
    int64_t sends_until_ms; /* so that the last one may still be answered */
    int64_t sent_ms[KEPT_ROWS_MAX];
    bool is_answered[KEPT_ROWS_MAX];
};

/* The steps of a round; the definitions follow in this order. */
static bool publish_row(struct round *round, struct error *err);
static bool await_reply(struct round *round, struct error *err);
static void judge(struct round *round, struct kept_row *row, const char *bytes, size_t size_bytes);
static void end_round(struct round *round);

static void show_window(const struct replay_wire *self)
{
    gateway_set(GATEWAY_replay_window_batches, (double)self->window.size);
}

struct replay_wire *replay_wire_open(const struct bus_options *options, int ack_ms,
                                     int queued_max_ms, struct error *err)
{
    struct replay_wire *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "replay: no memory");
        return NULL;
    }
    self->options = *options;
    self->ack_ms = ack_ms;
    self->queued_max_ms = queued_max_ms;
    replay_wire_reconnected(self);
    return self;
}

void replay_wire_close(struct replay_wire **wire)
{
    struct replay_wire *self = *wire;

    if (self == NULL)
        return;
    bus_inbox_close(&self->replies);
    bus_close(&self->bus);
    free(self);
    *wire = NULL;
}

static bool subscribe(struct replay_wire *self, struct error *err)
{
    AUTO(auto_free_inbox) natsInbox *inbox = NULL;
    char subject[INBOX_SIZE + 2];
    natsStatus status = natsInbox_Create(&inbox);

    bus_inbox_close(&self->replies);
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "replay: inbox: %s", natsStatus_GetText(status));
    (void)snprintf(self->inbox, sizeof(self->inbox), "%s", inbox);
    (void)snprintf(subject, sizeof(subject), "%s.*", inbox);
    return bus_inbox_open(self->bus, subject, &self->replies, err) || error_wrap(err, "replay");
}

bool replay_wire_connect(struct replay_wire *self, struct error *err)
{
    natsConnection *connection;

    if (self->bus == NULL)
        self->bus = bus_open(&self->options, err);
    if (self->bus == NULL)
        return false;
    connection = bus_connection(self->bus); /* a new one, if the old was closed for good */
    if (!bus_is_connected(self->bus))
        return error_set(err, ERROR_UNAVAILABLE, "replay: not connected");
    return connection == self->replies.connection || subscribe(self, err);
}

void replay_wire_tend(struct replay_wire *self)
{
    if (self->bus != NULL)
        (void)bus_connection(self->bus);
}

void replay_wire_reconnected(struct replay_wire *self)
{
    replay_window_init(&self->window, self->queued_max_ms);
    show_window(self);
}

bool replay_wire_is_connected(const struct replay_wire *self)
{
    return self->bus != NULL && bus_is_connected(self->bus);
}

size_t replay_wire_payload_max(const struct replay_wire *self)
{
    int64_t max = natsConnection_GetMaxPayload(self->replies.connection);

    return max > REPLAY_HEADER_BYTES ? (size_t)max - REPLAY_HEADER_BYTES : 0;
}

static uint64_t partition_bit(const struct kept_row *row)
{
    return UINT64_C(1) << (row->batch.partition % KEPT_PARTITIONS_MAX);
}

/* The server is there: silence is counted from now, but the round ends. */
static void hear(struct round *round)
{
    round->silent_at_ms = clock_now_ms() + round->wire->ack_ms;
    if (round->silent_at_ms > round->ends_at_ms)
        round->silent_at_ms = round->ends_at_ms;
}

static bool may_send(const struct round *round, int64_t now_ms)
{
    return round->next < round->rows->count && now_ms < round->sends_until_ms;
}

bool replay_wire_send(struct replay_wire *self, struct kept_rows *rows, struct replay_tally *out,
                      struct error *err)
{
    struct round round = {.wire = self, .rows = rows, .tally = out};
    int64_t now_ms = clock_now_ms();
    bool is_fine = true;

    *out = (struct replay_tally){0};
    self->round++;
    round.ends_at_ms = now_ms + REPLAY_ROUND_MS;
    round.sends_until_ms = round.ends_at_ms - self->ack_ms;
    hear(&round);
    while (is_fine && now_ms < round.silent_at_ms &&
           (may_send(&round, now_ms) || round.under_way > 0)) {
        if (may_send(&round, now_ms) && round.under_way < self->window.size)
            is_fine = publish_row(&round, err);
        else
            is_fine = await_reply(&round, err);
        now_ms = clock_now_ms();
    }
    if (round.under_way > 0 && out->stored + out->refused + out->unheard == 0)
        replay_window_silent(&self->window);
    show_window(self);
    end_round(&round);
    return is_fine;
}

static natsStatus make_message(const struct round *round, const struct kept_row *row, natsMsg **out)
{
    char subject[STREAM_SUBJECT_SIZE];
    char reply[REPLY_SIZE];
    char id[KEPT_KEY_SIZE];
    natsStatus status;

    stream_subject(row->batch.partition, subject);
    (void)snprintf(reply, sizeof(reply), "%s.%" PRIx32 "-%zx", round->wire->inbox,
                   round->wire->round, (size_t)(row - round->rows->rows));
    kept_batch_id(&row->batch, id);
    status = natsMsg_Create(out, subject, reply, (const char *)row->batch.bytes,
                            (int)row->batch.size_bytes);
    return status == NATS_OK ? natsMsgHeader_Set(*out, "Nats-Msg-Id", id) : status;
}

/* A row whose stream is full waits with those before it. */
static bool publish_row(struct round *round, struct error *err)
{
    AUTO(auto_free_message) natsMsg *message = NULL;
    struct kept_row *row = &round->rows->rows[round->next++];
    natsStatus status;

    if (row->fate != FATE_KEPT || (round->tally->blocked_partitions & partition_bit(row)) != 0)
        return true;
    status = make_message(round, row, &message);
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(round->wire->replies.connection, message);
    if (status == NATS_MAX_PAYLOAD) {
        row->fate = FATE_DAMAGED;
        row->why = "larger than the server's max_payload";
        return true;
    }
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "replay: publish: %s", natsStatus_GetText(status));
    round->sent_ms[row - round->rows->rows] = clock_now_ms();
    round->under_way++;
    round->tally->sent++;
    return true;
}

/* "<inbox>.<round>-<row>", numbers in hexadecimal. NULL: not of this round, or answered. */
static struct kept_row *find_row(struct round *round, const char *subject)
{
    const char *token = subject + strlen(round->wire->inbox) + 1;
    char *end;
    unsigned long number = strtoul(token, &end, 16);
    unsigned long index;

    if (end == token || *end != '-' || number != round->wire->round)
        return NULL;
    index = strtoul(end + 1, &end, 16);
    if (*end != '\0' || index >= round->rows->count || round->is_answered[index])
        return NULL;
    round->is_answered[index] = true;
    return &round->rows->rows[index];
}

static void take_answer(struct round *round, size_t index)
{
    struct replay_window *window = &round->wire->window;
    int64_t now_ms = clock_now_ms();
    bool was_full = may_send(round, now_ms) && round->under_way >= window->size;

    replay_window_answered(window, round->sent_ms[index], now_ms, was_full);
}

static bool await_reply(struct round *round, struct error *err)
{
    AUTO(auto_free_message) natsMsg *message = NULL;
    int64_t wait_ms = round->silent_at_ms - clock_now_ms();
    natsStatus status = natsSubscription_NextMsg(&message, round->wire->replies.subscription,
                                                 wait_ms > 0 ? wait_ms : 1);
    struct kept_row *row;

    if (status == NATS_TIMEOUT)
        return true; /* the caller sees that time is up */
    if (status == NATS_NO_RESPONDERS) {
        round->tally->unheard++; /* libnats does not tell whose: all that stays silent waits */
        round->under_way--;
        hear(round);
        return true;
    }
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "replay: reply: %s", natsStatus_GetText(status));
    row = find_row(round, natsMsg_GetSubject(message));
    if (row == NULL)
        return true;
    take_answer(round, (size_t)(row - round->rows->rows));
    round->under_way--;
    hear(round);
    judge(round, row, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
    return true;
}

static void judge(struct round *round, struct kept_row *row, const char *bytes, size_t size_bytes)
{
    char stream[STREAM_NAME_SIZE];
    struct ack ack;

    stream_name(row->batch.partition, stream);
    ack = ack_parse(bytes, size_bytes, stream);
    switch (ack.verdict) {
    case ACK_STORED:
        row->fate = FATE_PUBLISHED;
        round->tally->stored++;
        round->tally->events += row->batch.events;
        return;
    case ACK_REFUSED:
        row->fate = FATE_REFUSED;
        row->batch.attempt_k++;
        round->tally->refused++;
        if (ack_is_final(ack.error_code))
            round->tally->blocked_partitions |= partition_bit(row);
        return;
    case ACK_GARBLED:
        gateway_count(GATEWAY_acks_garbled_total, 1);
        log_warn("ack_garbled", "stream=%s bytes=\"%.*s\"", stream,
                 (int)(size_bytes < 200 ? size_bytes : 200), bytes);
        return; /* like silence */
    }
}

/* A partition of which nothing was answered waits: else its rows, which are the oldest soon, would
 * be all that is asked for. */
static void end_round(struct round *round)
{
    uint64_t silent = 0;
    uint64_t heard = 0;

    for (size_t i = 0; i < round->next; i++) {
        uint64_t partition = partition_bit(&round->rows->rows[i]);

        if (round->is_answered[i])
            heard |= partition;
        else if (round->rows->rows[i].fate == FATE_KEPT)
            silent |= partition;
    }
    round->tally->blocked_partitions |= silent & ~heard;
}
