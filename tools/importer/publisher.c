#include "publisher.h"

#include "base/auto.h"
#include "base/backoff.h"
#include "clients/auto_nats.h"
#include "clients/bus.h"
#include "event/codec.h"
#include "event/event_id.h"
#include "pace.h"
#include "progress.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

enum {
    EVENTS_PER_BATCH = TARGET_ROWS_MAX,
    MESSAGE_BYTES_MAX = EVENTS_PER_BATCH * CODEC_EVENT_MAX + CODEC_HEADER_MAX,
    HEADERS_MAX = 512, /* of a message, beside its body */
    MSG_ID_SIZE = 96,
    RETRY_BASE_MS = 100,
    RETRY_CAP_MS = 5000,
    RETRY_FLOOR_MS = 20,
};

/* One partition's batches. */
struct lane {
    struct event events[EVENTS_PER_BATCH];
    size_t count;
    uint64_t batch_no; /* of the last acknowledged batch */
    uint64_t accepted; /* events in the acknowledged batches */
};

struct publisher {
    struct publisher_options options;
    uint8_t gateway_id[16];
    int64_t began_at_ms;
    uint32_t partitions;
    size_t batch_max;
    struct lane *lanes;
    struct pace *pace;
    struct backoff backoff;
    int64_t sent, known, batches;
    uint8_t message[MESSAGE_BYTES_MAX];
};

/* A batch's path, top to bottom; the definitions follow in this order. */
static bool send_lane(struct publisher *self, uint32_t partition, struct error *err);
static bool drop_known(struct publisher *self, struct lane *lane, struct error *err);
static bool send_batch(struct publisher *self, uint32_t partition, struct error *err);
static size_t encode(struct publisher *self, const struct lane *lane, uint32_t partition);
static bool publish(struct publisher *self, uint32_t partition, size_t size, uint64_t *out_seq,
                    struct error *err);

struct publisher *publisher_new(const struct publisher_options *options, struct error *err)
{
    AUTO(publisher_free) struct publisher *self = calloc(1, sizeof(*self));
    int64_t payload_max = natsConnection_GetMaxPayload(bus_connection(options->bus));

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    self->options = *options;
    self->partitions = target_partitions(options->target);
    self->lanes = calloc(self->partitions, sizeof(*self->lanes));
    self->pace = pace_new(options->bus, options->target, options->progress);
    if (self->lanes == NULL || self->pace == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    self->batch_max = EVENTS_PER_BATCH;
    if (payload_max > 0 && payload_max < MESSAGE_BYTES_MAX + HEADERS_MAX) {
        int64_t room = payload_max - HEADERS_MAX - CODEC_HEADER_MAX;

        if (room < CODEC_EVENT_MAX) {
            error_set(err, ERROR_INVALID, "the NATS server takes only %" PRId64 " bytes a message",
                      payload_max);
            return NULL;
        }
        self->batch_max = (size_t)(room / CODEC_EVENT_MAX);
    }
    self->began_at_ms = clock_at_ms();
    event_id_make(self->began_at_ms, self->gateway_id); /* the audit reads a lane's start off it */
    backoff_init(&self->backoff, RETRY_BASE_MS, RETRY_CAP_MS, randombytes_random());
    self->backoff.floor_ms = RETRY_FLOOR_MS;
    return TAKE(self);
}

void publisher_free(struct publisher **publisher)
{
    if (*publisher == NULL)
        return;
    pace_free(&(*publisher)->pace);
    free((*publisher)->lanes);
    free(*publisher);
    *publisher = NULL;
}

bool publisher_add(struct publisher *publisher, const struct event *event, struct error *err)
{
    uint32_t partition = event_partition(event->ad_id, event->ad_id_size, publisher->partitions);
    struct lane *lane = &publisher->lanes[partition];

    lane->events[lane->count++] = *event;
    return lane->count < publisher->batch_max || send_lane(publisher, partition, err);
}

bool publisher_flush(struct publisher *publisher, struct error *err)
{
    for (uint32_t i = 0; i < publisher->partitions; i++)
        if (!send_lane(publisher, i, err))
            return false;
    return true;
}

static bool send_lane(struct publisher *self, uint32_t partition, struct error *err)
{
    struct lane *lane = &self->lanes[partition];

    if (lane->count == 0)
        return true;
    if (!drop_known(self, lane, err))
        return false;
    return lane->count == 0 || send_batch(self, partition, err);
}

static bool drop_known(struct publisher *self, struct lane *lane, struct error *err)
{
    uint8_t ids[EVENTS_PER_BATCH][EVENT_ID_SIZE];
    bool known[EVENTS_PER_BATCH];
    size_t kept = 0;

    for (size_t i = 0; i < lane->count; i++)
        memcpy(ids[i], lane->events[i].id, EVENT_ID_SIZE);
    if (!target_find_events(self->options.target, (const uint8_t(*)[EVENT_ID_SIZE])ids, lane->count,
                            known, err))
        return false;
    for (size_t i = 0; i < lane->count; i++)
        if (!known[i])
            lane->events[kept++] = lane->events[i];
    self->known += (int64_t)(lane->count - kept);
    lane->count = kept;
    return true;
}

/* Of a lane without events it is a heartbeat. */
static bool send_batch(struct publisher *self, uint32_t partition, struct error *err)
{
    struct lane *lane = &self->lanes[partition];
    uint64_t seq = 0;

    if (!pace_wait(self->pace, partition, err) ||
        !publish(self, partition, encode(self, lane, partition), &seq, err))
        return false;
    pace_note(self->pace, partition, seq);
    lane->batch_no++;
    lane->accepted += lane->count;
    self->sent += (int64_t)lane->count;
    self->batches++;
    lane->count = 0;
    return true;
}

/* As one batch is in flight at a time, every lower number is settled, and this one is not. */
static size_t encode(struct publisher *self, const struct lane *lane, uint32_t partition)
{
    struct codec_header header = {.partition = partition,
                                  .batch_no = lane->batch_no + 1,
                                  .sent_at_ms = clock_at_ms(),
                                  .settled_below = lane->batch_no + 1,
                                  .accepted = lane->accepted};
    size_t size = 0;

    memcpy(header.gateway_id, self->gateway_id, sizeof(header.gateway_id));
    for (size_t i = 0; i < lane->count; i++)
        size += codec_append_event(self->message + size, &lane->events[i]);
    return size + codec_append_header(self->message + size, &header);
}

static void format_msg_id(const struct publisher *self, uint32_t partition, int refusals,
                          char out[MSG_ID_SIZE])
{
    char hex[2 * sizeof(self->gateway_id) + 1];

    (void)sodium_bin2hex(hex, sizeof(hex), self->gateway_id, sizeof(self->gateway_id));
    snprintf(out, MSG_ID_SIZE, "%s.0.%" PRIu32 ".%" PRIu64 ".%d", hex, partition,
             self->lanes[partition].batch_no + 1, refusals);
}

static void free_ack(jsPubAck **ack)
{
    jsPubAck_Destroy(*ack);
    *ack = NULL;
}

/* What the server said to one try. */
struct answer {
    bool is_stored, is_refused; /* neither: nobody knows */
    uint64_t seq;
    char why[120];
};

static bool try_once(struct publisher *self, uint32_t partition, size_t size, int refusals,
                     struct answer *out, struct error *err)
{
    AUTO(auto_free_message) natsMsg *message = NULL;
    AUTO(free_ack) jsPubAck *ack = NULL;
    char subject[STREAM_SUBJECT_SIZE];
    char stream[STREAM_NAME_SIZE];
    char msg_id[MSG_ID_SIZE];
    jsPubOptions options;
    jsErrCode code = 0;
    natsStatus status;

    stream_subject(partition, subject);
    stream_name(partition, stream);
    format_msg_id(self, partition, refusals, msg_id);
    (void)jsPubOptions_Init(&options);
    options.MsgId = msg_id;
    options.ExpectStream = stream;
    options.MaxWait = bus_request_ms(self->options.bus);
    status = natsMsg_Create(&message, subject, NULL, (const char *)self->message, (int)size);
    if (status != NATS_OK)
        return error_set(err, ERROR_LIMIT, "no memory for a message");
    status = js_PublishMsg(&ack, bus_jetstream(self->options.bus), message, &options, &code);
    out->is_stored = status == NATS_OK && strcmp(ack->Stream, stream) == 0 && ack->Sequence > 0;
    out->is_refused = !out->is_stored && (code != 0 || status == NATS_OK);
    out->seq = out->is_stored ? ack->Sequence : 0;
    snprintf(out->why, sizeof(out->why), "%s: %s (%d)", stream, natsStatus_GetText(status),
             (int)code);
    return true;
}

/* The same name after silence, another one after a refusal: see proto/subjects.md. */
static bool publish(struct publisher *self, uint32_t partition, size_t size, uint64_t *out_seq,
                    struct error *err)
{
    int64_t until_ms = clock_now_ms() + STALL_MS;
    int refusals = 0;

    backoff_reset(&self->backoff);
    for (;;) {
        struct answer answer = {.is_stored = false};

        if (!try_once(self, partition, size, refusals, &answer, err))
            return false;
        if (answer.is_stored) {
            *out_seq = answer.seq;
            return true;
        }
        if (clock_now_ms() > until_ms)
            return error_set(err, ERROR_UNAVAILABLE, "the stream took nothing for %d s: %s",
                             STALL_MS / 1000, answer.why);
        refusals += answer.is_refused;
        progress_show(self->options.progress, answer.why);
        clock_sleep_ms(backoff_next_ms(&self->backoff));
    }
}

/* As a gateway does at its end: a batch is proven only by a later header of its lane. */
static bool close_lanes(struct publisher *self, struct error *err)
{
    for (uint32_t i = 0; i < self->partitions; i++)
        if (self->lanes[i].batch_no > 0 && !send_batch(self, i, err))
            return false;
    return true;
}

bool publisher_settle(struct publisher *publisher, struct target_ledger *out, struct error *err)
{
    return close_lanes(publisher, err) && pace_settle(publisher->pace, err) &&
           target_read_ledger(publisher->options.target, publisher->gateway_id,
                              publisher->began_at_ms, out, err);
}

int64_t publisher_sent(const struct publisher *publisher)
{
    return publisher->sent;
}

int64_t publisher_known(const struct publisher *publisher)
{
    return publisher->known;
}

int64_t publisher_batches(const struct publisher *publisher)
{
    return publisher->batches;
}
