#include "clients/bus.h"

#include "base/auto.h"
#include "base/time_text.h"
#include "clients/js_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SUBJECT_MAX = 96, CREATE_MAX = 768, BODY_MAX = 64 };

#define NS_PER_MS INT64_C(1000000)

static bool create(struct bus *bus, uint32_t partition, const struct stream_limits *limits,
                   uint64_t first_seq, struct error *err);
static bool adjust(struct bus *bus, uint32_t partition, const struct stream_limits *limits,
                   json_t *config, struct error *err);

void stream_name(uint32_t partition, char out[STREAM_NAME_SIZE])
{
    snprintf(out, STREAM_NAME_SIZE, STREAM_PREFIX "%" PRIu32, partition);
}

void stream_subject(uint32_t partition, char out[STREAM_SUBJECT_SIZE])
{
    snprintf(out, STREAM_SUBJECT_SIZE, "ads.events.%" PRIu32, partition);
}

/* "STREAM.INFO.ADS_0" and the like. */
static bool request(struct bus *bus, const char *verb, uint32_t partition, const char *body,
                    struct js_api_answer *out, struct error *err)
{
    char name[STREAM_NAME_SIZE];
    char subject[SUBJECT_MAX];

    stream_name(partition, name);
    snprintf(subject, sizeof(subject), "STREAM.%s.%s", verb, name);
    return js_api_request(bus, subject, body, bus_request_ms(bus), out, err);
}

/*
 * nats-server from 2.10.0 to 2.10.27 comes up EMPTY after a restart when a stream's configuration
 * holds first_seq and its first message still has that number (nats-server PR 6753). So first_seq
 * must be gone from the configuration before the first message is stored: a stream is born with a
 * subject that nobody publishes to, and gets its own in the same update that takes first_seq away.
 * Whoever finds a stream half-made finishes it.
 */
bool stream_ensure(struct bus *bus, uint32_t partition, const struct stream_limits *limits,
                   uint64_t stored_position, int64_t at_ms, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer info = {0};
    uint64_t first_seq = (uint64_t)at_ms * 1000;
    struct error missing;

    if (first_seq <= stored_position)
        first_seq = stored_position + 1;
    if (!request(bus, "INFO", partition, "", &info, &missing)) {
        if (missing.kind != ERROR_INVALID) {
            *err = missing;
            return false;
        }
        if (!create(bus, partition, limits, first_seq, err) ||
            !request(bus, "INFO", partition, "", &info, err))
            return false;
    }
    return adjust(bus, partition, limits, json_object_get(info.json, "config"), err);
}

/* Two processes may start at once: the other one's stream is as good as ours. */
static bool create(struct bus *bus, uint32_t partition, const struct stream_limits *limits,
                   uint64_t first_seq, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer answer = {0};
    struct error refusal;
    char name[STREAM_NAME_SIZE];
    char body[CREATE_MAX];

    stream_name(partition, name);
    snprintf(body, sizeof(body),
             "{\"name\":\"%s\",\"subjects\":[\"ads.unborn.%" PRIu32
             "\"],\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"new\","
             "\"max_consumers\":-1,\"max_msgs\":-1,\"max_msgs_per_subject\":-1,"
             "\"max_msg_size\":-1,\"max_age\":0,\"max_bytes\":%" PRId64
             ",\"duplicate_window\":%" PRId64 ",\"num_replicas\":%d,\"first_seq\":%" PRIu64 "}",
             name, partition, limits->max_bytes, limits->dedup_window_ms * NS_PER_MS,
             limits->replicas, first_seq);
    if (request(bus, "CREATE", partition, body, &answer, &refusal))
        return true;
    if (answer.code == JS_API_STREAM_NAME_IN_USE)
        return true;
    *err = refusal;
    return false;
}

static bool has_number(const json_t *config, const char *key, int64_t value)
{
    return json_integer_value(json_object_get(config, key)) == value;
}

static bool set_number(json_t *config, const char *key, int64_t value)
{
    return json_object_set_new(config, key, json_integer(value)) == 0;
}

/* Everything else goes back to the server as it came. */
static bool adjust(struct bus *bus, uint32_t partition, const struct stream_limits *limits,
                   json_t *config, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer answer = {0};
    AUTO(auto_free) char *body = NULL;
    int64_t window_ns = limits->dedup_window_ms * NS_PER_MS;
    char subject[STREAM_SUBJECT_SIZE];
    const char *its_subject =
        json_string_value(json_array_get(json_object_get(config, "subjects"), 0));

    stream_subject(partition, subject);
    if (its_subject != NULL && strcmp(its_subject, subject) == 0 &&
        has_number(config, "first_seq", 0) && has_number(config, "max_bytes", limits->max_bytes) &&
        has_number(config, "duplicate_window", window_ns))
        return true;
    (void)json_object_del(config, "first_seq"); /* -1: it was not there */
    if (set_number(config, "max_bytes", limits->max_bytes) &&
        set_number(config, "duplicate_window", window_ns) &&
        json_object_set_new(config, "subjects", json_pack("[s]", subject)) == 0)
        body = json_dumps(config, JSON_COMPACT);
    if (body == NULL)
        return error_set(err, ERROR_LIMIT, "nats: no memory for a stream's configuration");
    return request(bus, "UPDATE", partition, body, &answer, err);
}

static bool read_time(const json_t *object, const char *key, int64_t *out_at_ms)
{
    const json_t *text = json_object_get(object, key);

    return json_is_string(text) &&
           time_text_parse(json_string_value(text), json_string_length(text), out_at_ms);
}

bool stream_get_state(struct bus *bus, uint32_t partition, struct stream_state *out,
                      struct error *err)
{
    AUTO(js_api_free) struct js_api_answer info = {0};
    const json_t *state;
    int64_t created_at_ms;

    if (!request(bus, "INFO", partition, "", &info, err))
        return false;
    state = json_object_get(info.json, "state");
    if (state == NULL || !read_time(info.json, "created", &created_at_ms))
        return error_set(err, ERROR_UNAVAILABLE, "nats: a stream's state is unreadable");
    out->first_seq = js_api_number(state, "first_seq");
    out->last_seq = js_api_number(state, "last_seq");
    out->messages = js_api_number(state, "messages");
    out->bytes = js_api_number(state, "bytes");
    out->created_at_ms = created_at_ms;
    return true;
}

/*
 * Two numbers mean something else to the server: a purge "below 0" (or 1) purges everything, and
 * one beyond the last message moves the stream's next sequence. Neither is ever sent.
 */
bool stream_trim(struct bus *bus, uint32_t partition, uint64_t below_seq, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer answer = {0};
    struct stream_state state = {0};
    char body[BODY_MAX];

    if (!stream_get_state(bus, partition, &state, err))
        return false;
    if (below_seq > state.last_seq + 1)
        below_seq = state.last_seq + 1;
    if (state.messages == 0 || below_seq <= state.first_seq)
        return true;
    snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", below_seq);
    return request(bus, "PURGE", partition, body, &answer, err);
}

bool stream_message_at_ms(struct bus *bus, uint32_t partition, uint64_t seq, int64_t *out_at_ms,
                          struct error *err)
{
    AUTO(js_api_free) struct js_api_answer answer = {0};
    char body[BODY_MAX];

    snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", seq);
    if (!request(bus, "MSG.GET", partition, body, &answer, err))
        return false;
    if (!read_time(json_object_get(answer.json, "message"), "time", out_at_ms))
        return error_set(err, ERROR_UNAVAILABLE, "nats: a message's time is unreadable");
    return true;
}
