#include "clients/discovery.h"

#include "base/auto.h"
#include "base/time_text.h"
#include "event/event_id.h"
#include "runtime/build_info.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/service.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ANSWER_MAX_BYTES = 8192,
    WAITING_MAX_BYTES = 64 * 1024,
    NAME_SIZE = 64,
    HOST_SIZE = 256,
    NUMBER_SIZE = 24,
    SUBJECT_SIZE = 160,
    SUBJECTS_EACH = 3, /* of everybody, of the name, of the process */
};

struct discovery {
    natsSubscription *subscriptions[DISCOVERY_VERBS][SUBJECTS_EACH]; /* NULL: not subscribed */
};

static const char *const verb_words[DISCOVERY_VERBS] = {"PING", "INFO", "STATS"};
static const char *const answer_types[DISCOVERY_VERBS] = {"io.nats.micro.v1.ping_response",
                                                          "io.nats.micro.v1.info_response",
                                                          "io.nats.micro.v1.stats_response"};

/* Written by discovery_init before there is a connection, then only read. */
static struct {
    char name[NAME_SIZE];
    char id[EVENT_ID_TEXT_SIZE];
    struct text answers[DISCOVERY_VERBS];
} ours;

static void add_string(struct text *out, const char *string)
{
    text_add_json_string(out, string, strlen(string));
}

static void add_member(struct text *out, const char *name, const char *value)
{
    text_addf(out, ",\"%s\":", name);
    add_string(out, value);
}

static void add_facts(struct text *out, const struct discovery_identity *identity)
{
    text_add_str(out, ",\"metadata\":{");
    for (size_t i = 0; i < identity->fact_count; i++) {
        if (i > 0)
            text_add_char(out, ',');
        add_string(out, identity->facts[i].name);
        text_add_char(out, ':');
        add_string(out, identity->facts[i].value);
    }
    text_add_char(out, '}');
}

void discovery_write(enum discovery_verb verb, const struct discovery_identity *identity,
                     struct text *out)
{
    char started_at[TIME_TEXT_SIZE];

    text_add_str(out, "{\"type\":");
    add_string(out, answer_types[verb]);
    add_member(out, "name", identity->name);
    add_member(out, "id", identity->id);
    add_member(out, "version", identity->version);
    add_facts(out, identity);
    if (verb == DISCOVERY_INFO)
        add_member(out, "description", identity->description);
    if (verb == DISCOVERY_STATS) {
        time_text_format(identity->started_at_ms, started_at);
        add_member(out, "started", started_at);
    }
    if (verb != DISCOVERY_PING)
        text_add_str(out, ",\"endpoints\":[]");
    text_add_char(out, '}');
}

static void name_ourselves(const struct service *service, const uint8_t *id)
{
    uint8_t new_id[EVENT_ID_SIZE];

    if (id == NULL) {
        event_id_make(clock_at_ms(), new_id);
        id = new_id;
    }
    event_id_format(id, ours.id);
    (void)snprintf(ours.name, sizeof(ours.name), "adledger-%s", service_name(service));
}

void discovery_init(const struct service *service, const struct discovery_options *options)
{
    char host[HOST_SIZE] = "";
    char pid[NUMBER_SIZE];
    char port[NUMBER_SIZE];
    char partitions[NUMBER_SIZE];
    const struct discovery_fact facts[] = {{"commit", build_commit()},
                                           {"host", host},
                                           {"pid", pid},
                                           {"http_port", port},
                                           {"partitions", partitions}};
    const struct discovery_identity identity = {.name = ours.name,
                                                .id = ours.id,
                                                .version = build_version(),
                                                .description = options->description,
                                                .started_at_ms = service_started_at_ms(service),
                                                .facts = facts,
                                                .fact_count = sizeof(facts) / sizeof(facts[0])};

    name_ourselves(service, options->id);
    (void)gethostname(host, sizeof(host) - 1); /* without a name it stays empty */
    (void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    (void)snprintf(port, sizeof(port), "%" PRId64, options->http_port);
    (void)snprintf(partitions, sizeof(partitions), "%" PRId64, options->partitions);
    for (enum discovery_verb verb = 0; verb < DISCOVERY_VERBS; verb++) {
        text_init(&ours.answers[verb], ANSWER_MAX_BYTES);
        discovery_write(verb, &identity, &ours.answers[verb]);
    }
}

/* One delivery thread for all subjects instead of one for each. */
void discovery_prepare(natsOptions *options)
{
    (void)natsOptions_UseGlobalMessageDelivery(options, true);
}

/* An answer that cannot be sent is lost: who asks waits for a while, and asks again. */
static void on_question(natsConnection *connection, natsSubscription *subscription,
                        natsMsg *question, void *closure)
{
    const struct text *answer = closure;
    const char *reply = natsMsg_GetReply(question);

    (void)subscription;
    if (reply != NULL)
        (void)natsConnection_Publish(connection, reply, answer->bytes, (int)answer->size);
    natsMsg_Destroy(question);
}

/* *out is owned by the caller. */
static natsStatus subscribe(natsConnection *connection, const char *subject, struct text *answer,
                            natsSubscription **out)
{
    natsStatus status = natsConnection_Subscribe(out, connection, subject, on_question, answer);

    return status != NATS_OK
               ? status
               : natsSubscription_SetPendingLimits(*out, DISCOVERY_WAITING_MAX, WAITING_MAX_BYTES);
}

static natsStatus answer_verb(struct discovery *self, natsConnection *connection,
                              enum discovery_verb verb)
{
    char subjects[SUBJECTS_EACH][SUBJECT_SIZE];
    natsStatus status = text_ok(&ours.answers[verb]) ? NATS_OK : NATS_NO_MEMORY;

    (void)snprintf(subjects[0], SUBJECT_SIZE, "$SRV.%s", verb_words[verb]);
    (void)snprintf(subjects[1], SUBJECT_SIZE, "%s.%s", subjects[0], ours.name);
    (void)snprintf(subjects[2], SUBJECT_SIZE, "%s.%s", subjects[1], ours.id);
    for (int i = 0; i < SUBJECTS_EACH && status == NATS_OK; i++)
        status =
            subscribe(connection, subjects[i], &ours.answers[verb], &self->subscriptions[verb][i]);
    return status;
}

struct discovery *discovery_answer_on(natsConnection *connection)
{
    static atomic_bool is_told;
    struct discovery *self = calloc(1, sizeof(*self));
    natsStatus status = self == NULL ? NATS_NO_MEMORY : NATS_OK;

    assert(ours.name[0] != '\0');
    for (enum discovery_verb verb = 0; verb < DISCOVERY_VERBS && status == NATS_OK; verb++)
        status = answer_verb(self, connection, verb);
    if (status != NATS_OK && !atomic_exchange(&is_told, true))
        log_warn("discovery_failed", "why=\"%s\"", natsStatus_GetText(status));
    return self;
}

void discovery_drop(struct discovery **discovery)
{
    struct discovery *self = TAKE(*discovery);

    if (self == NULL)
        return;
    for (enum discovery_verb verb = 0; verb < DISCOVERY_VERBS; verb++) {
        for (int i = 0; i < SUBJECTS_EACH; i++)
            natsSubscription_Destroy(self->subscriptions[verb][i]);
    }
    free(self);
}
