#include "changes_private.h"

#include "base/auto.h"
#include "changes_script.h"
#include "recent.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    DAY_S = 86400,
    QUARTER_S = 900,
    ARGS_FIRST = 4096,
    /* Redis's clock may be ahead of ours by so much: near its end a key may be a new one there. */
    EXPIRY_SLACK_S = 300,
};

struct changes *changes_new(uint32_t partition, size_t keys_max)
{
    AUTO(changes_free) struct changes *changes = calloc(1, sizeof(*changes));

    if (changes == NULL)
        return NULL;
    changes->partition = partition;
    changes->script.text = changes_script_text;
    changes->claim.text = changes_claim_text;
    text_init(&changes->bytes, CHANGES_BYTES_MAX);
    if (keys_max > 0) {
        changes->known = recent_new(keys_max, 0); /* keys hold no text of strangers */
        if (changes->known == NULL)
            return NULL;
    }
    return TAKE(changes);
}

void changes_free(struct changes **changes)
{
    if (*changes == NULL)
        return;
    text_free(&(*changes)->bytes);
    recent_free(&(*changes)->known);
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
    if (changes->known != NULL)
        recent_rollback(changes->known); /* what was listed and has not been run */
}

void changes_forget(struct changes *changes)
{
    if (changes->known != NULL)
        recent_clear(changes->known);
    changes->newest_day = 0;
}

size_t changes_args(const struct changes *changes)
{
    return changes->count;
}

bool changes_grow(struct changes *self)
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
        (self->count == self->capacity && !changes_grow(self))) {
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

/* Whether Redis has to be told when the key ends. */
static bool must_expire(struct changes *self, const char *key, size_t key_size, int64_t ttl)
{
    return self->known == NULL || ttl < EXPIRY_SLACK_S || recent_add(self->known, key, key_size);
}

/* The hash holds several days: it lives from its newest field on, its old fields are dropped. So
 * what is remembered is the key with the day. */
static bool is_new_day(struct changes *self, const char *key, size_t key_size, int64_t day)
{
    char name[BUCKET_KEY_MAX + 24];
    int size = snprintf(name, sizeof(name), "%.*s:%" PRId64, (int)key_size, key, day);

    return must_expire(self, name, (size_t)size, bucket_kept_s(BUCKET_DAY));
}

static void add_day(struct changes *self, const char *key, size_t key_size, int64_t day,
                    int64_t amount)
{
    bool is_new = is_new_day(self, key, key_size, day);

    put_text(self, is_new ? "D" : "A");
    put(self, key, key_size);
    put_number(self, day);
    put_number(self, amount);
    if (!is_new)
        return;
    put_number(self, DAY_S + bucket_kept_s(BUCKET_DAY));
    put_number(self, (self->at_s - bucket_kept_s(BUCKET_DAY)) / DAY_S);
}

void changes_add_bucket(struct changes *changes, const char *ad_id, const char *series,
                        enum bucket_size size, int64_t second, int64_t amount)
{
    char key[BUCKET_KEY_MAX];
    int64_t ttl = ttl_s(changes, size, second);
    int64_t block = 0;
    int64_t field = 0;

    if (ttl <= 0)
        return;
    bucket_place(size, second, &block, &field);

    size_t key_size = bucket_key(key, changes->partition, ad_id, series, size, block);

    if (size == BUCKET_DAY) {
        add_day(changes, key, key_size, field, amount);
        return;
    }

    bool is_new = must_expire(changes, key, key_size, ttl);

    put_text(changes, is_new ? "B" : "A");
    put(changes, key, key_size);
    put_number(changes, field);
    put_number(changes, amount);
    if (is_new)
        put_number(changes, ttl);
}

void changes_add_total(struct changes *changes, const char *ad_id, const char *series,
                       int64_t amount)
{
    char key[BUCKET_KEY_MAX];
    size_t key_size = bucket_key_totals(key, changes->partition, ad_id);

    put_text(changes, "A");
    put(changes, key, key_size);
    put_text(changes, series);
    put_number(changes, amount);
}

static void put_sequence(struct changes *self, uint64_t seq)
{
    char text[24];

    put(self, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, seq));
}

/* The key of the quarter hour's day, and its field there. */
static size_t place_last(const struct changes *self, const char *ad_id, int64_t quarter,
                         char out_key[BUCKET_KEY_MAX], int64_t *out_field)
{
    int64_t day = quarter * QUARTER_S / DAY_S;

    *out_field = quarter - day * (DAY_S / QUARTER_S);
    return bucket_key_last(out_key, self->partition, ad_id, day);
}

void changes_set_last(struct changes *changes, const char *ad_id, int64_t quarter, uint64_t seq)
{
    char key[BUCKET_KEY_MAX];
    int64_t ttl = ttl_s(changes, BUCKET_QUARTER, quarter * QUARTER_S);
    int64_t field = 0;

    if (ttl <= 0)
        return;

    size_t key_size = place_last(changes, ad_id, quarter, key, &field);
    bool is_new = must_expire(changes, key, key_size, ttl);

    put_text(changes, is_new ? "L" : "H");
    put(changes, key, key_size);
    put_number(changes, field);
    put_sequence(changes, seq);
    if (is_new)
        put_number(changes, ttl);
}

/* Once a later day has been seen, a day may be in the sum already: the script looks. */
static bool is_closed(struct changes *self, enum bucket_visitors_unit unit, int64_t number)
{
    if (unit == BUCKET_VISITORS_DAY && number > self->newest_day)
        self->newest_day = number;
    return unit == BUCKET_VISITORS_DAY && number < self->newest_day;
}

/* What closing a day takes: the sum, and how the days' keys begin. */
static void put_day(struct changes *self, const char *ad_id, const char *key, int64_t day)
{
    char sum[BUCKET_KEY_MAX];

    put(self, sum, bucket_key_visitor_sum(sum, self->partition, ad_id));
    put(self, key, (size_t)(strrchr(key, ':') + 1 - key));
    put_number(self, day);
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

    bool is_day = unit == BUCKET_VISITORS_DAY;
    bool is_new = is_closed(changes, unit, number) || must_expire(changes, key, key_size, ttl);

    put_text(changes, !is_new ? "U" : is_day ? "V" : "P");
    put(changes, key, key_size);
    if (is_new)
        put_number(changes, ttl);
    put_number(changes, (int64_t)count);
    if (is_new && is_day)
        put_day(changes, ad_id, key, number);
    for (size_t i = 0; i < count; i++)
        put(changes, (const char *)&visitors[i], sizeof(visitors[i]));
}

void changes_add_visitor_sum(struct changes *changes, const char *ad_id, int64_t visitors)
{
    char key[BUCKET_KEY_MAX];

    put_text(changes, "A");
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
    int64_t field = 0;

    put_text(changes, "R");
    put(changes, key, place_last(changes, ad_id, quarter, key, &field));
    put_number(changes, field);
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
