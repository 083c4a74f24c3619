#include "changes.h"

#include "base/auto.h"
#include "base/text.h"
#include "changes_script.h"
#include "clients/redis.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DAY_S = 86400, QUARTER_S = 900, HEAD_BYTES_MAX = 512, ARGS_FIRST = 4096 };

struct changes {
    uint32_t partition;
    int64_t at_s;
    struct text bytes; /* the arguments, one after another */
    uint32_t *sizes;   /* of each */
    size_t count, capacity;
    bool failed;
    const char **argv; /* filled by changes_run; as long as sizes, plus keys and head */
    size_t *argv_sizes;
    struct redis_script script, claim;
};

struct changes *changes_new(uint32_t partition)
{
    struct changes *changes = calloc(1, sizeof(*changes));

    if (changes == NULL)
        return NULL;
    changes->partition = partition;
    changes->script.text = changes_script_text;
    changes->claim.text = changes_claim_text;
    text_init(&changes->bytes, CHANGES_BYTES_MAX);
    return changes;
}

void changes_free(struct changes **changes)
{
    if (*changes == NULL)
        return;
    text_free(&(*changes)->bytes);
    free((*changes)->sizes);
    free((*changes)->argv);
    free((*changes)->argv_sizes);
    free(*changes);
    *changes = NULL;
}

void changes_reset(struct changes *changes, int64_t at_s)
{
    text_reset(&changes->bytes);
    changes->count = 0;
    changes->failed = false;
    changes->at_s = at_s;
}

size_t changes_args(const struct changes *changes)
{
    return changes->count;
}

static bool grow(struct changes *self)
{
    size_t capacity = self->capacity == 0 ? ARGS_FIRST : 2 * self->capacity;
    size_t argv_capacity = capacity + CHANGES_SCRIPT_KEYS + CHANGES_SCRIPT_HEAD;
    uint32_t *sizes = realloc(self->sizes, capacity * sizeof(*sizes));

    if (sizes != NULL)
        self->sizes = sizes;

    const char **argv = realloc(self->argv, argv_capacity * sizeof(*argv));

    if (argv != NULL)
        self->argv = argv;

    size_t *argv_sizes = realloc(self->argv_sizes, argv_capacity * sizeof(*argv_sizes));

    if (argv_sizes != NULL)
        self->argv_sizes = argv_sizes;
    if (sizes == NULL || argv == NULL || argv_sizes == NULL)
        return false;
    self->capacity = capacity;
    return true;
}

static void put(struct changes *self, const char *bytes, size_t size)
{
    if (self->failed || self->count == CHANGES_ARGS_MAX ||
        (self->count == self->capacity && !grow(self))) {
        self->failed = true;
        return;
    }
    text_add(&self->bytes, bytes, size);
    self->sizes[self->count++] = (uint32_t)size;
}

static void put_text(struct changes *self, const char *text)
{
    put(self, text, strlen(text));
}

static void put_number(struct changes *self, int64_t number)
{
    size_t before = self->bytes.size;

    put(self, "", 0);
    if (self->failed)
        return;
    text_add_int(&self->bytes, number);
    self->sizes[self->count - 1] = (uint32_t)(self->bytes.size - before);
}

static int64_t block_s(enum bucket_size size)
{
    static const int64_t seconds[] = {[BUCKET_SECOND] = 60,
                                      [BUCKET_MINUTE] = 3600,
                                      [BUCKET_QUARTER] = DAY_S,
                                      [BUCKET_DAY] = DAY_S};

    return seconds[size];
}

/* How long the hash that holds the second is kept from now on; <= 0: no longer. */
static int64_t ttl_s(const struct changes *self, enum bucket_size size, int64_t second)
{
    int64_t block = second / block_s(size);

    return (block + 1) * block_s(size) + bucket_kept_s(size) - self->at_s;
}

bool changes_is_kept(const struct changes *changes, enum bucket_size size, int64_t second)
{
    return ttl_s(changes, size, second) > 0;
}

void changes_add_bucket(struct changes *changes, const char *ad_id, const char *series,
                        enum bucket_size size, int64_t second, int64_t amount)
{
    char key[BUCKET_KEY_MAX];
    int64_t block = 0;
    int64_t field = 0;

    if (!changes_is_kept(changes, size, second))
        return;
    bucket_place(size, second, &block, &field);

    size_t key_size = bucket_key(key, changes->partition, ad_id, series, size, block);

    put_text(changes, size == BUCKET_DAY ? "D" : "B");
    put(changes, key, key_size);
    put_number(changes, field);
    put_number(changes, amount);
    if (size != BUCKET_DAY) {
        put_number(changes, ttl_s(changes, size, second));
        return;
    }
    /* The hash holds several days: it lives from its newest field on, its old fields are dropped.
     */
    put_number(changes, DAY_S + bucket_kept_s(size));
    put_number(changes, (changes->at_s - bucket_kept_s(size)) / DAY_S);
}

void changes_add_total(struct changes *changes, const char *ad_id, const char *series,
                       int64_t amount)
{
    char key[BUCKET_KEY_MAX];
    size_t key_size = bucket_key_totals(key, changes->partition, ad_id);

    put_text(changes, "T");
    put(changes, key, key_size);
    put_text(changes, series);
    put_number(changes, amount);
}

static void put_sequence(struct changes *self, uint64_t seq)
{
    char text[24];

    put(self, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, seq));
}

static void put_last_field(struct changes *self, const char *ad_id, int64_t quarter)
{
    char key[BUCKET_KEY_MAX];
    int64_t day = quarter * QUARTER_S / DAY_S;

    put(self, key, bucket_key_last(key, self->partition, ad_id, day));
    put_number(self, quarter - day * (DAY_S / QUARTER_S));
}

void changes_set_last(struct changes *changes, const char *ad_id, int64_t quarter, uint64_t seq)
{
    int64_t second = quarter * QUARTER_S;

    if (!changes_is_kept(changes, BUCKET_QUARTER, second))
        return;
    put_text(changes, "L");
    put_last_field(changes, ad_id, quarter);
    put_sequence(changes, seq);
    put_number(changes, ttl_s(changes, BUCKET_QUARTER, second));
}

void changes_add_visitors(struct changes *changes, const char *ad_id,
                          enum bucket_visitors_unit unit, int64_t number, const uint64_t *visitors,
                          size_t count)
{
    char key[BUCKET_KEY_MAX];
    int64_t ttl =
        (number + 1) * bucket_visitors_unit_s(unit) + bucket_visitors_kept_s(unit) - changes->at_s;
    size_t key_size = bucket_key_visitors(key, changes->partition, ad_id, unit, number);

    assert(count <= CHANGES_VISITORS_MAX);
    if (ttl <= 0)
        return;
    put_text(changes, unit == BUCKET_VISITORS_DAY ? "V" : "P");
    put(changes, key, key_size);
    put_number(changes, ttl);
    put_number(changes, (int64_t)count);
    if (unit == BUCKET_VISITORS_DAY) {
        char sum[BUCKET_KEY_MAX];

        put(changes, sum, bucket_key_visitor_sum(sum, changes->partition, ad_id));
        /* Up to the last colon: what the day keys of this ad have in common. */
        put(changes, key, (size_t)(strrchr(key, ':') + 1 - key));
        put_number(changes, number);
    }
    for (size_t i = 0; i < count; i++)
        put(changes, (const char *)&visitors[i], sizeof(visitors[i]));
}

void changes_add_visitor_sum(struct changes *changes, const char *ad_id, int64_t visitors)
{
    char key[BUCKET_KEY_MAX];

    put_text(changes, "T");
    put(changes, key, bucket_key_visitor_sum(key, changes->partition, ad_id));
    put_text(changes, "sum");
    put_number(changes, visitors);
}

void changes_delete_key(struct changes *changes, const char *key, size_t key_size)
{
    put_text(changes, "K");
    put(changes, key, key_size);
}

void changes_begin_item(struct changes *changes, const char *ad_id, int64_t quarter,
                        uint64_t pg_position, uint64_t needed_seq, size_t series_known)
{
    char key[BUCKET_KEY_MAX];

    put_text(changes, "R");
    put_last_field(changes, ad_id, quarter);
    put_sequence(changes, pg_position);
    put_sequence(changes, needed_seq);
    put(changes, key, bucket_key_totals(key, changes->partition, ad_id));
    put_number(changes, (int64_t)series_known);
}

void changes_set_quarter(struct changes *changes, const char *ad_id, const char *series,
                         int64_t quarter, int64_t target)
{
    char key[BUCKET_KEY_MAX];
    int64_t second = quarter * QUARTER_S;
    int64_t block = 0;
    int64_t field = 0;

    bucket_place(BUCKET_QUARTER, second, &block, &field);
    put_text(changes, "Q");
    put(changes, key, bucket_key(key, changes->partition, ad_id, series, BUCKET_QUARTER, block));
    put_number(changes, field);
    put_number(changes, target);
    put_number(changes, ttl_s(changes, BUCKET_QUARTER, second));
    bucket_place(BUCKET_DAY, second, &block, &field);
    put(changes, key, bucket_key(key, changes->partition, ad_id, series, BUCKET_DAY, block));
    put_number(changes, field);
    put(changes, key, bucket_key_totals(key, changes->partition, ad_id));
    put_text(changes, series);
}

void changes_begin_total_item(struct changes *changes, uint64_t pg_position)
{
    put_text(changes, "E");
    put_sequence(changes, pg_position);
}

void changes_set_total(struct changes *changes, const char *ad_id, const char *series,
                       int64_t target)
{
    char key[BUCKET_KEY_MAX];

    put_text(changes, "S");
    put(changes, key, bucket_key_totals(key, changes->partition, ad_id));
    put_text(changes, series);
    put_number(changes, target);
}

/* Keys and head come before the list; their text lies in the caller's buffer. */
struct head {
    char keys[CHANGES_SCRIPT_KEYS][BUCKET_KEY_MAX];
    char next[24], fresh[24], rebuilt[24];
    const char *argv[CHANGES_SCRIPT_KEYS + CHANGES_SCRIPT_HEAD];
};

static void name_keys(const struct changes *self, struct head *head)
{
    bucket_key_position(head->keys[0], self->partition);
    bucket_key_fresh(head->keys[1], self->partition);
    bucket_key_state(head->keys[2], self->partition);
    for (int i = 0; i < CHANGES_SCRIPT_KEYS; i++)
        head->argv[i] = head->keys[i];
}

static void fill_head(const struct changes *self, const struct changes_guard *guard,
                      struct head *head)
{
    static const char *const kinds[] = {[CHANGES_AT_POSITION] = "position",
                                        [CHANGES_COUNTING] = "counting",
                                        [CHANGES_REBUILDING] = "rebuilding"};
    const char **word = head->argv + CHANGES_SCRIPT_KEYS;

    name_keys(self, head);
    head->next[0] = head->fresh[0] = '\0';
    if (guard->next_position != NULL)
        snprintf(head->next, sizeof(head->next), "%" PRIu64, *guard->next_position);
    if (guard->fresh_at_ms != 0)
        snprintf(head->fresh, sizeof(head->fresh), "%" PRId64, guard->fresh_at_ms);
    *word++ = kinds[guard->kind];
    *word++ = guard->expected == NULL ? "" : guard->expected;
    *word++ = head->next;
    *word++ = head->fresh;
    *word++ = guard->phase == NULL ? "" : guard->phase;
    snprintf(head->rebuilt, sizeof(head->rebuilt), "%" PRId64, guard->rebuilt_at_ms);
    *word = head->rebuilt;
}

/* {1, items} or {0, stored position}. */
static bool read_reply(const redisReply *reply, struct changes_result *out, struct error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return error_set(err, ERROR_INTERNAL, "redis: the script's answer has another shape");
    *out = (struct changes_result){.is_lost = reply->element[0]->integer == 0};

    const redisReply *text = reply->element[1];

    if (out->is_lost) {
        out->has_position = text->len > 0;
        out->position = strtoull(text->str, NULL, 10);
    } else if ((size_t)text->len <= CHANGES_ITEMS_MAX) {
        memcpy(out->items, text->str, (size_t)text->len + 1);
    }
    return true;
}

bool changes_run(struct changes *changes, struct redis *redis, const struct changes_guard *guard,
                 struct changes_result *out, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    struct head head;
    size_t argc = CHANGES_SCRIPT_KEYS + CHANGES_SCRIPT_HEAD;
    const char *bytes = text_str(&changes->bytes);

    if (changes->failed || !text_ok(&changes->bytes) || (changes->capacity == 0 && !grow(changes)))
        return error_set(err, ERROR_LIMIT, "redis: a list of %zu changes is too long",
                         changes->count);
    fill_head(changes, guard, &head);
    for (size_t i = 0; i < argc; i++) {
        changes->argv[i] = head.argv[i];
        changes->argv_sizes[i] = strlen(head.argv[i]);
    }
    for (size_t i = 0; i < changes->count; i++, argc++) {
        changes->argv[argc] = bytes;
        changes->argv_sizes[argc] = changes->sizes[i];
        bytes += changes->sizes[i];
    }
    return redis_eval(redis, &changes->script, CHANGES_SCRIPT_KEYS, (int)argc, changes->argv,
                      changes->argv_sizes, &reply, err) &&
           read_reply(reply, out, err);
}

bool changes_claim(struct changes *changes, struct redis *redis, const char *expected,
                   const char *token, struct changes_result *out, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    struct head head;
    size_t sizes[CHANGES_SCRIPT_KEYS + 2];

    name_keys(changes, &head);
    head.argv[CHANGES_SCRIPT_KEYS] = expected;
    head.argv[CHANGES_SCRIPT_KEYS + 1] = token;
    for (int i = 0; i < CHANGES_SCRIPT_KEYS + 2; i++)
        sizes[i] = strlen(head.argv[i]);
    return redis_eval(redis, &changes->claim, CHANGES_SCRIPT_KEYS, CHANGES_SCRIPT_KEYS + 2,
                      head.argv, sizes, &reply, err) &&
           read_reply(reply, out, err);
}
