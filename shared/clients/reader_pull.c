#include "clients/reader_private.h"

#include "base/auto.h"
#include "clients/auto_nats.h"
#include "clients/clients_metrics.h"
#include "clients/js_api.h"
#include "runtime/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A pull request that finds nothing ends after PULL_EXPIRES_MS with a status of its own: the
 * server's word that there is nothing, which how fresh an idle partition's numbers are rests on.
 * Silence beyond that means that the consumer is gone. The server forgets a consumer that nobody
 * asks for INACTIVE_MS.
 */
enum { PULL_EXPIRES_MS = 500, INACTIVE_MS = 30000 };

/*
 * A cluster may place a consumer on a server that died a moment ago, which nobody answers for, and
 * one without a leader forgets what it was asked, or refuses it: another is asked for after this.
 * The one that answers first is ours, the others go after INACTIVE_MS.
 */
enum { CREATE_DELAY_MS = 500, CREATE_ATTEMPTS_MAX = 8 };

/* What the server adds to a message when it counts bytes: subjects and headers. */
enum { MESSAGE_OVERHEAD = 8192, PULL_BYTES_LIMIT = 64 << 20 };

enum { SUBJECT_MAX = 192, BODY_MAX = 128 };

#define STATUS_TIMEOUT  "408"
#define STATUS_CONFLICT "409"
#define NS_PER_MS       INT64_C(1000000)

/* A consumer to be. */
struct wish {
    char stream[STREAM_NAME_SIZE];
    const char *unique; /* among all processes and times: a name used twice would mix deliveries */
    uint64_t start_seq;
};

static void write_wish(void *ctx, unsigned attempt, struct js_api_call *out)
{
    const struct wish *wish = ctx;
    char name[CONSUMER_NAME_SIZE];

    snprintf(name, sizeof(name), "reader_%s_%u", wish->unique, attempt);
    snprintf(out->subject, sizeof(out->subject), "CONSUMER.CREATE.%s.%s", wish->stream, name);
    snprintf(
        out->body, sizeof(out->body),
        "{\"stream_name\":\"%s\",\"config\":{\"name\":\"%s\","
        "\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":%" PRIu64
        ",\"ack_policy\":\"none\",\"replay_policy\":\"instant\",\"inactive_threshold\":%" PRId64
        ",\"num_replicas\":1,\"mem_storage\":true}}",
        wish->stream, name, wish->start_seq, INACTIVE_MS * NS_PER_MS);
}

static bool subscribe(struct pull *pull, struct bus *bus, struct error *err)
{
    char subject[INBOX_SIZE + 2];
    natsStatus status;

    snprintf(subject, sizeof(subject), "%s.*", pull->reply);
    if (!bus_inbox_open(bus, subject, &pull->inbox, err))
        return false;
    /* No limits here: the pull requests bound what may come, and a drop would be a gap. */
    status = natsSubscription_SetPendingLimits(pull->inbox.subscription, -1, -1);
    return status == NATS_OK ||
           error_set(err, ERROR_UNAVAILABLE, "nats: limits: %s", natsStatus_GetText(status));
}

bool pull_open(struct pull *pull, struct bus *bus, const struct reader_options *options,
               uint64_t position, uint64_t *out_pending, struct error *err)
{
    AUTO(auto_free_inbox) natsInbox *inbox = NULL;
    AUTO(js_api_free) struct js_api_answer answer = {0};
    struct wish wish = {.start_seq = position + 1};
    struct js_api_hedge hedge = {.delay_ms = CREATE_DELAY_MS,
                                 .attempts_max = CREATE_ATTEMPTS_MAX,
                                 .write = write_wish,
                                 .ctx = &wish};
    const char *name;

    pull->epoch = bus_epoch(bus);
    pull->consumer_seq = 0;
    pull->credit = 0;
    if (natsInbox_Create(&inbox) != NATS_OK)
        return error_set(err, ERROR_LIMIT, "nats: no memory for an inbox");
    snprintf(pull->reply, sizeof(pull->reply), "%s", inbox);
    stream_name(options->partition, wish.stream);
    wish.unique = strrchr(pull->reply, '.') + 1;
    if (!js_api_request_hedged(bus, &hedge, options->request_ms, &answer, err))
        return false;
    name = json_string_value(json_object_get(answer.json, "name"));
    if (name == NULL || strlen(name) >= sizeof(pull->consumer))
        return error_set(err, ERROR_UNAVAILABLE, "nats: a consumer without a name");
    snprintf(pull->consumer, sizeof(pull->consumer), "%s", name);
    *out_pending = js_api_number(answer.json, "num_pending");
    if (!subscribe(pull, bus, err)) {
        pull_drop(pull, bus, options);
        return false;
    }
    clients_count(METRIC_reader_consumers_total, 1);
    return true;
}

void pull_drop(struct pull *pull, struct bus *bus, const struct reader_options *options)
{
    char stream[STREAM_NAME_SIZE];
    char subject[SUBJECT_MAX];

    if (!pull_is_open(pull))
        return;
    bus_inbox_close(&pull->inbox);
    pull->credit = 0;
    stream_name(options->partition, stream);
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DELETE.%s.%s", stream, pull->consumer);
    /* Best effort: the server forgets it by itself after INACTIVE_MS. */
    if (bus_is_connected(bus))
        (void)natsConnection_PublishString(bus_connection(bus), subject, "");
}

/*
 * The server alternates between waiting requests, so messages cannot be told apart by request; the
 * sum of what was asked for is kept instead. Asking again at the half keeps the broker sending
 * while the caller works, and bounds what can wait here to two requests.
 */
bool pull_ask(struct pull *pull, struct bus *bus, const struct reader_options *options)
{
    char stream[STREAM_NAME_SIZE];
    char subject[SUBJECT_MAX];
    char reply[INBOX_SIZE + 24];
    char body[BODY_MAX];
    int64_t payload_max;
    int64_t ends_ms;

    if (pull->credit > options->messages_max / 2)
        return true;
    payload_max = natsConnection_GetMaxPayload(bus_connection(bus)) + MESSAGE_OVERHEAD;
    if (pull->bytes_max < options->bytes_max)
        pull->bytes_max = options->bytes_max;
    if ((int64_t)pull->bytes_max < payload_max)
        pull->bytes_max = (size_t)payload_max;
    stream_name(options->partition, stream);
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.%s.%s", stream, pull->consumer);
    snprintf(reply, sizeof(reply), "%s.%" PRIu64, pull->reply, ++pull->token);
    snprintf(body, sizeof(body), "{\"batch\":%zu,\"max_bytes\":%zu,\"expires\":%" PRId64 "}",
             options->messages_max, pull->bytes_max, PULL_EXPIRES_MS * NS_PER_MS);
    ends_ms = clock_now_ms() + PULL_EXPIRES_MS; /* before the server starts to count */
    if (natsConnection_PublishRequestString(bus_connection(bus), subject, reply, body) != NATS_OK)
        return false;
    pull->credit += options->messages_max;
    pull->silent_after_ms = ends_ms + options->request_ms;
    pull->ends_ms[pull->token % PULLS_TIMED] = ends_ms;
    return true;
}

/* Each delivery must follow the one before: the server drops silently what it sent to nobody. */
static enum pull_event accept(struct pull *pull, natsMsg **message, struct delivery *out)
{
    struct ack_subject about;

    if (!ack_subject_parse(natsMsg_GetReply(*message), &about))
        return PULL_LOST;
    if (about.consumer_size != strlen(pull->consumer) ||
        memcmp(about.consumer, pull->consumer, about.consumer_size) != 0)
        return PULL_STATUS; /* of an earlier consumer */
    if (about.consumer_seq != pull->consumer_seq + 1) {
        clients_count(METRIC_reader_gaps_total, 1);
        return PULL_LOST;
    }
    pull->consumer_seq = about.consumer_seq;
    pull->credit -= pull->credit > 0 ? 1 : 0;
    out->message = TAKE(*message);
    out->about = about;
    return PULL_MESSAGE;
}

/*
 * The request that this status ends was open until ends_ms at least, and unused. The status itself
 * may have waited here unread while messages came that no request was open for.
 */
static bool note_drained(struct pull *pull, natsMsg *status)
{
    const char *dot = strrchr(natsMsg_GetSubject(status), '.');
    uint64_t token = dot == NULL ? 0 : strtoull(dot + 1, NULL, 10);

    if (token == 0 || token > pull->token || pull->token - token >= PULLS_TIMED)
        return false;
    pull->drained_ms = pull->ends_ms[token % PULLS_TIMED];
    return true;
}

/*
 * A pull request that ends says how much of it is left: expired (408), or the next message does
 * not fit into its bytes (409). Without that number the status is about the consumer itself:
 * deleted, or moved to another server.
 */
static enum pull_event settle(struct pull *pull, const struct reader_options *options,
                              natsMsg *message)
{
    const char *text;
    uint64_t left;

    if (natsMsgHeader_Get(message, "Nats-Pending-Messages", &text) != NATS_OK)
        return PULL_LOST;
    left = strtoull(text, NULL, 10);
    pull->credit -= left < pull->credit ? left : pull->credit;
    if (natsMsgHeader_Get(message, "Status", &text) != NATS_OK)
        return PULL_LOST;
    if (strcmp(text, STATUS_CONFLICT) == 0 && left == options->messages_max) {
        /* Not even one message fitted: the server's max_payload was larger once. */
        if (pull->bytes_max >= PULL_BYTES_LIMIT)
            return PULL_LOST;
        pull->bytes_max *= 2;
    }
    if (strcmp(text, STATUS_TIMEOUT) == 0 && left > 0 && note_drained(pull, message))
        return PULL_DRAINED;
    return PULL_STATUS;
}

enum pull_event pull_next(struct pull *pull, const struct reader_options *options, int64_t wait_ms,
                          struct delivery *out)
{
    AUTO(auto_free_message) natsMsg *message = NULL;
    natsStatus status = natsSubscription_NextMsg(&message, pull->inbox.subscription, wait_ms);

    if (status == NATS_TIMEOUT && clock_now_ms() <= pull->silent_after_ms)
        return PULL_NOTHING;
    if (status != NATS_OK)
        return PULL_LOST; /* no such consumer (503), closed for good, or silent for too long */
    if (natsMsg_GetReply(message) != NULL)
        return accept(pull, &message, out);
    return settle(pull, options, message);
}
