#include "clients/lease.h"

#include "base/auto.h"
#include "clients/bus.h"
#include "clients/js_api.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKET    "adledger_leases"
#define STREAM    "KV_" BUCKET
#define PREFIX    "$KV." BUCKET "."
#define NS_PER_MS INT64_C(1000000)

enum { SERVICE_MAX = 32, INSTANCE_BYTES = 8, KEY_MAX = 128, BODY_MAX = 256, CREATED_MAX = 40 };

/* One partition as this process sees it. */
struct lease {
    uint64_t revision;             /* of our last write of its key; 0: not ours */
    bool is_taken;                 /* somebody has it, as of the last look */
    _Atomic int64_t held_until_ms; /* the only member that other threads read */
};

struct leases {
    struct bus *bus; /* borrowed */
    char service[SERVICE_MAX];
    char instance[2 * INSTANCE_BYTES + 1];
    int64_t ttl_ms; /* ours or the bucket's, whichever is shorter */
    int option_ttl_ms;
    char created[CREATED_MAX]; /* the bucket's birthday: revisions of another bucket mean nothing */
    bool has_copies;           /* as many as the events */
    uint32_t partition_count;
    uint32_t member_count;
    struct lease *leases; /* partition_count of them */
};

/* A step, in this order. */
static bool look(struct leases *leases, struct error *err);
static bool announce(struct leases *leases, struct error *err);
static bool renew(struct leases *leases, int64_t now_ms, struct error *err);
static bool release_surplus(struct leases *leases, struct error *err);
static bool take_free(struct leases *leases, int64_t now_ms, struct error *err);

static bool name_instance(struct leases *leases)
{
    unsigned char random[INSTANCE_BYTES];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(leases->instance + 2 * i, 3, "%02x", random[i]);
    return true;
}

struct leases *leases_new(struct bus *bus, const struct lease_options *options, struct error *err)
{
    AUTO(leases_close) struct leases *leases = calloc(1, sizeof(*leases));

    assert(options->ttl_ms > 0 && strlen(options->service) < SERVICE_MAX);
    if (leases == NULL) {
        error_set(err, ERROR_LIMIT, "lease: no memory");
        return NULL;
    }
    leases->bus = bus;
    leases->option_ttl_ms = options->ttl_ms;
    leases->ttl_ms = options->ttl_ms;
    snprintf(leases->service, sizeof(leases->service), "%s", options->service);
    leases->leases = calloc(options->partition_count, sizeof(*leases->leases));
    if (leases->leases == NULL || !name_instance(leases)) {
        error_set(err, ERROR_LIMIT, "lease: no memory or no randomness");
        return NULL;
    }
    leases->partition_count = options->partition_count;
    return TAKE(leases);
}

static void write_partition_key(const struct leases *leases, uint32_t partition, char key[KEY_MAX])
{
    snprintf(key, KEY_MAX, PREFIX "%s.%" PRIu32, leases->service, partition);
}

static void write_member_key(const struct leases *leases, char key[KEY_MAX])
{
    snprintf(key, KEY_MAX, PREFIX "%s.member.%s", leases->service, leases->instance);
}

/* Removes a key unless somebody has written it after our revision; 0: whatever it is. */
static bool erase(struct leases *leases, const char *key, uint64_t revision, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer answer = {0};
    char body[BODY_MAX];

    snprintf(body, sizeof(body), "{\"filter\":\"%s\",\"seq\":%" PRIu64 "}", key,
             revision == 0 ? 0 : revision + 1);
    return js_api_request(leases->bus, "STREAM.PURGE." STREAM, body, bus_request_ms(leases->bus),
                          &answer, err);
}

static void forget(struct lease *lease)
{
    lease->revision = 0;
    atomic_store(&lease->held_until_ms, 0);
}

/* Back to the pool. Whether or not the server hears of it, it is ours no longer. */
static bool release(struct leases *leases, uint32_t partition, struct error *err)
{
    struct lease *lease = &leases->leases[partition];
    uint64_t revision = lease->revision;
    char key[KEY_MAX];

    forget(lease);
    write_partition_key(leases, partition, key);
    return erase(leases, key, revision, err);
}

/* Stops at the first failure: without a broker the leases run out by themselves. */
static bool give_back(struct leases *leases, struct error *err)
{
    char key[KEY_MAX];

    for (uint32_t i = 0; i < leases->partition_count; i++) {
        if (leases->leases[i].revision != 0 && !release(leases, i, err))
            return false;
    }
    write_member_key(leases, key);
    return leases->created[0] == '\0' || erase(leases, key, 0, err);
}

void leases_close(struct leases **leases)
{
    struct error ignored;

    if (*leases == NULL)
        return;
    (void)give_back(*leases, &ignored);
    free((*leases)->leases);
    free(*leases);
    *leases = NULL;
}

bool leases_step(struct leases *leases, int64_t now_ms, struct error *err)
{
    if (!look(leases, err) || !announce(leases, err) || !renew(leases, now_ms, err) ||
        !release_surplus(leases, err) || !take_free(leases, now_ms, err))
        return error_wrap(err, "lease");
    return true;
}

bool leases_is_held(const struct leases *leases, uint32_t partition, int64_t now_ms)
{
    if (partition >= leases->partition_count)
        return false;
    return now_ms < atomic_load(&leases->leases[partition].held_until_ms);
}

/* The bucket lives in the broker's memory: after its restart whoever comes first makes it anew. */
static bool make_bucket(struct leases *leases, struct error *err)
{
    kvStore *store = NULL;
    kvConfig config;
    struct breaker_permit permit;
    natsStatus status;
    bool is_answered;

    kvConfig_Init(&config);
    config.Bucket = BUCKET;
    config.History = 1;
    config.TTL = leases->option_ttl_ms * NS_PER_MS;
    config.StorageType = js_MemoryStorage;
    config.Replicas = 1; /* add_copies sees to the others */
    if (!bus_ask(leases->bus, &permit))
        return error_set(err, ERROR_UNAVAILABLE, "nats: bucket " BUCKET ": the breaker is open");
    status = js_CreateKeyValue(&store, bus_jetstream(leases->bus), &config);
    is_answered = status == NATS_OK || status == NATS_ERR; /* NATS_ERR: the server refused it */
    bus_tell(leases->bus, &permit, is_answered ? ERROR_NONE : ERROR_UNAVAILABLE);
    kvStore_Destroy(store);
    if (status != NATS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "nats: bucket " BUCKET ": %s",
                         natsStatus_GetText(status));
    return true;
}

/*
 * Writes a key if its revision is still `expected` (0: if there is no such key). *out_revision is
 * 0 when somebody else was faster, and on a failure when nobody knows the key's revision any more;
 * else what it was: a lease that could not be renewed in time is still ours to renew or give back.
 */
static bool write_key(struct leases *leases, const char *key, uint64_t expected,
                      uint64_t *out_revision, struct error *err)
{
    struct js_api_ack ack;
    jsPubOptions options;
    bool is_written;

    jsPubOptions_Init(&options);
    options.ExpectLastSubjectSeq = expected;
    options.ExpectNoMessage = expected == 0;
    is_written = js_api_publish(leases->bus, key, leases->instance, &options, &ack, err);
    if (is_written)
        *out_revision = ack.seq;
    else if (ack.code == JS_API_WRONG_LAST_SEQUENCE || err->kind == ERROR_UNCERTAIN)
        *out_revision = 0;
    return is_written || ack.code == JS_API_WRONG_LAST_SEQUENCE;
}

/* A bucket made anew counts its revisions from 1: ours are void. */
static void compare_birthday(struct leases *leases, const char *created)
{
    if (strcmp(leases->created, created) == 0)
        return;
    for (uint32_t i = 0; i < leases->partition_count; i++)
        leases->leases[i].revision = 0;
    leases->has_copies = false;
    snprintf(leases->created, sizeof(leases->created), "%s", created);
}

/* "$KV.adledger_leases.ingest.3" -> 3; anything else: partition_count. */
static uint32_t partition_of(const struct leases *leases, const char *key)
{
    char expected[KEY_MAX];
    const char *last = strrchr(key, '.');
    unsigned long partition = last == NULL ? ULONG_MAX : strtoul(last + 1, NULL, 10);

    if (partition >= leases->partition_count)
        return leases->partition_count;
    write_partition_key(leases, (uint32_t)partition, expected);
    return strcmp(key, expected) == 0 ? (uint32_t)partition : leases->partition_count;
}

static bool request_keys(struct leases *leases, struct js_api_answer *out, struct error *err)
{
    char body[BODY_MAX];

    snprintf(body, sizeof(body), "{\"subjects_filter\":\"" PREFIX "%s.>\"}", leases->service);
    return js_api_request(leases->bus, "STREAM.INFO." STREAM, body, bus_request_ms(leases->bus),
                          out, err);
}

static void read_config(struct leases *leases, const json_t *info)
{
    const char *created = json_string_value(json_object_get(info, "created"));
    int64_t ttl_ns = (int64_t)js_api_number(json_object_get(info, "config"), "max_age");

    compare_birthday(leases, created == NULL ? "" : created);
    leases->ttl_ms = leases->option_ttl_ms;
    if (ttl_ns > 0 && ttl_ns / NS_PER_MS < leases->ttl_ms)
        leases->ttl_ms = ttl_ns / NS_PER_MS;
}

/*
 * With fewer copies than the events have, the loss of one server of a cluster could take the leases
 * and stop all readers. Until there are streams, or servers, the bucket does with what it has.
 */
static void add_copies(struct leases *leases, json_t *config)
{
    AUTO(js_api_free) struct js_api_answer stream = {0};
    AUTO(js_api_free) struct js_api_answer updated = {0};
    AUTO(auto_free) char *body = NULL;
    int wait_ms = bus_request_ms(leases->bus);
    struct error ignored; /* tried again with the next step */
    json_t *copies;

    if (leases->has_copies || !js_api_request(leases->bus, "STREAM.INFO." STREAM_PREFIX "0", "",
                                              wait_ms, &stream, &ignored))
        return;
    copies = json_object_get(json_object_get(stream.json, "config"), "num_replicas");
    leases->has_copies =
        json_integer_value(copies) <= json_integer_value(json_object_get(config, "num_replicas"));
    if (leases->has_copies || json_object_set(config, "num_replicas", copies) != 0)
        return;
    body = json_dumps(config, JSON_COMPACT);
    leases->has_copies = body != NULL && js_api_request(leases->bus, "STREAM.UPDATE." STREAM, body,
                                                        wait_ms, &updated, &ignored);
}

/* Counts the members, this process among them whether or not it has announced itself yet. */
static void read_keys(struct leases *leases, json_t *keys)
{
    char own[KEY_MAX];
    size_t prefix_size;
    bool is_known = false;

    write_member_key(leases, own);
    prefix_size = strlen(own) - strlen(leases->instance);
    leases->member_count = 0;
    for (uint32_t i = 0; i < leases->partition_count; i++)
        leases->leases[i].is_taken = false;
    for (void *each = json_object_iter(keys); each != NULL;
         each = json_object_iter_next(keys, each)) {
        const char *key = json_object_iter_key(each);
        uint32_t partition = partition_of(leases, key);

        is_known = is_known || strcmp(key, own) == 0;
        if (strncmp(key, own, prefix_size) == 0)
            leases->member_count++;
        else if (partition < leases->partition_count)
            leases->leases[partition].is_taken = true;
    }
    leases->member_count += is_known ? 0 : 1;
}

/* One request tells who is there and what is taken: the bucket's keys are the whole state. */
static bool look(struct leases *leases, struct error *err)
{
    AUTO(js_api_free) struct js_api_answer info = {0};
    struct error refusal;

    if (!request_keys(leases, &info, &refusal)) {
        if (refusal.kind != ERROR_INVALID) {
            *err = refusal;
            return false;
        }
        if (!make_bucket(leases, err) || !request_keys(leases, &info, err))
            return false;
    }
    read_config(leases, info.json);
    add_copies(leases, json_object_get(info.json, "config"));
    read_keys(leases, json_object_get(json_object_get(info.json, "state"), "subjects"));
    return true;
}

/* The member's key has one writer only: it is written whatever its revision. */
static bool announce(struct leases *leases, struct error *err)
{
    struct js_api_ack ack;
    jsPubOptions options;
    char key[KEY_MAX];

    jsPubOptions_Init(&options);
    write_member_key(leases, key);
    return js_api_publish(leases->bus, key, leases->instance, &options, &ack, err);
}

static bool renew(struct leases *leases, int64_t now_ms, struct error *err)
{
    for (uint32_t i = 0; i < leases->partition_count; i++) {
        struct lease *lease = &leases->leases[i];
        char key[KEY_MAX];

        if (lease->revision == 0)
            continue;
        write_partition_key(leases, i, key);
        if (!write_key(leases, key, lease->revision, &lease->revision, err))
            return false;
        if (lease->revision == 0)
            forget(lease); /* it had run out */
        else
            atomic_store(&lease->held_until_ms, now_ms + leases->ttl_ms);
    }
    return true;
}

static uint32_t share(const struct leases *leases)
{
    uint32_t members = leases->member_count > 0 ? leases->member_count : 1;

    return (leases->partition_count + members - 1) / members;
}

static uint32_t count_held(const struct leases *leases)
{
    uint32_t held = 0;

    for (uint32_t i = 0; i < leases->partition_count; i++)
        held += leases->leases[i].revision != 0;
    return held;
}

/* The highest go first, so that everybody knows which ones will move. */
static bool release_surplus(struct leases *leases, struct error *err)
{
    uint32_t held = count_held(leases);

    for (uint32_t i = leases->partition_count; i > 0 && held > share(leases); i--) {
        if (leases->leases[i - 1].revision == 0)
            continue;
        if (!release(leases, i - 1, err))
            return false;
        held--;
    }
    return true;
}

static bool take_free(struct leases *leases, int64_t now_ms, struct error *err)
{
    uint32_t held = count_held(leases);

    for (uint32_t i = 0; i < leases->partition_count && held < share(leases); i++) {
        struct lease *lease = &leases->leases[i];
        char key[KEY_MAX];

        if (lease->is_taken || lease->revision != 0)
            continue;
        write_partition_key(leases, i, key);
        if (!write_key(leases, key, 0, &lease->revision, err))
            return false;
        if (lease->revision == 0)
            continue;
        atomic_store(&lease->held_until_ms, now_ms + leases->ttl_ms);
        held++;
    }
    return true;
}
