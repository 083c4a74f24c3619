#include "source_list.h"

#include "base/auto.h"
#include "clients/redis.h"
#include "json_record.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK_ELEMENTS = 1000, NAME_SIZE = 64, PLACE_SIZE = 120, NUMBER_SIZE = 24 };

struct list {
    struct redis *redis; /* borrowed */
    char name[NAME_SIZE], taken[NAME_SIZE];
    bool is_taken; /* only the taken list is read */
};

/* KEYS: list. ARGV: from, to. Length, first, last, elements. */
static struct redis_script chunk_script = {
    .text = "local k = KEYS[1] "
            "return {redis.call('LLEN', k), redis.call('LINDEX', k, 0) or '',"
            " redis.call('LINDEX', k, -1) or '', redis.call('LRANGE', k, ARGV[1], ARGV[2])}"};

/* KEYS: list, taken list. A taken one that is still there comes first. */
static struct redis_script take_script = {
    .text = "if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[1]) == 1 then"
            " redis.call('RENAME', KEYS[1], KEYS[2]) end "
            "return redis.call('LLEN', KEYS[2])"};

struct list *list_new(struct redis *redis, const char *name, struct error *err)
{
    struct list *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        error_set(err, ERROR_LIMIT, "no memory");
        return NULL;
    }
    self->redis = redis;
    snprintf(self->name, sizeof(self->name), "%s", name);
    snprintf(self->taken, sizeof(self->taken), "%s:adledger", name);
    return self;
}

void list_free(struct list **list)
{
    free(*list);
    *list = NULL;
}

const char *list_name(const struct list *list)
{
    return list->name;
}

bool list_take(struct list *list, long long *out_elements, struct error *err)
{
    AUTO(redis_reply_free) redisReply *reply = NULL;
    const char *argv[] = {list->name, list->taken};
    const size_t sizes[] = {strlen(list->name), strlen(list->taken)};

    if (!redis_eval(list->redis, &take_script, 2, 2, argv, sizes, &reply, err))
        return error_wrap(err, list->name);
    list->is_taken = true;
    *out_elements = reply->integer;
    return true;
}

bool list_delete_taken(struct list *list, struct error *err)
{
    return redis_text(list->redis, NULL, err, "DEL %s", list->taken);
}

/* What must not change between two chunks. */
struct shape {
    long long length;
    char *first, *last; /* owned copies */
    size_t first_size, last_size;
};

static void shape_free(struct shape *shape)
{
    free(shape->first);
    free(shape->last);
}

static bool is_chunk(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
           reply->element[0]->type == REDIS_REPLY_INTEGER &&
           reply->element[1]->type == REDIS_REPLY_STRING &&
           reply->element[2]->type == REDIS_REPLY_STRING &&
           reply->element[3]->type == REDIS_REPLY_ARRAY;
}

static bool copy(const redisReply *text, char **out, size_t *out_size, struct error *err)
{
    *out_size = (size_t)text->len;
    *out = malloc((size_t)text->len + 1);
    if (*out == NULL)
        return error_set(err, ERROR_LIMIT, "no memory");
    memcpy(*out, text->str, (size_t)text->len + 1);
    return true;
}

static bool is_end(const redisReply *text, const char *bytes, size_t size)
{
    return (size_t)text->len == size && memcmp(text->str, bytes, size) == 0;
}

static bool check_shape(const char *key, const redisReply *chunk, struct shape *shape,
                        struct error *err)
{
    if (shape->first == NULL) {
        shape->length = chunk->element[0]->integer;
        return copy(chunk->element[1], &shape->first, &shape->first_size, err) &&
               copy(chunk->element[2], &shape->last, &shape->last_size, err);
    }
    if (chunk->element[0]->integer == shape->length &&
        is_end(chunk->element[1], shape->first, shape->first_size) &&
        is_end(chunk->element[2], shape->last, shape->last_size))
        return true;
    return error_set(err, ERROR_UNAVAILABLE,
                     "the list %s changed while it was read: stop the tracker that uses it and run "
                     "this again, or add --consume, which takes the list away from it",
                     key);
}

static bool read_chunk(struct list *self, const char *key, long long from, redisReply **out,
                       struct error *err)
{
    char first[NUMBER_SIZE];
    char last[NUMBER_SIZE];
    const char *argv[] = {key, first, last};
    size_t sizes[3];

    snprintf(first, sizeof(first), "%lld", from);
    snprintf(last, sizeof(last), "%lld", from + CHUNK_ELEMENTS - 1);
    for (size_t i = 0; i < 3; i++)
        sizes[i] = strlen(argv[i]);
    if (!redis_eval(self->redis, &chunk_script, 1, 3, argv, sizes, out, err))
        return error_wrap(err, key);
    if (!is_chunk(*out))
        return error_set(err, ERROR_INTERNAL, "%s: redis answers in another shape", key);
    return true;
}

static bool give(const char *key, const redisReply *element, long long index, item_fn each,
                 void *ctx, struct error *err)
{
    AUTO(json_record_free) struct json_record json = {.roots = {NULL, NULL}};
    char place[PLACE_SIZE];
    struct error why = {0};
    struct item item = {.place = place, .raw = element->str, .raw_size = (size_t)element->len};

    snprintf(place, sizeof(place), "%s element %lld", key, index);
    if (json_record_read(element->str, (size_t)element->len, &json, &why))
        item.record = &json.record;
    item.why = why.text;
    return each(ctx, &item, err);
}

static bool read_key(struct list *self, const char *key, item_fn each, void *ctx, struct error *err)
{
    AUTO(shape_free) struct shape shape = {.first = NULL};
    long long at = 0;

    do {
        AUTO(redis_reply_free) redisReply *chunk = NULL;

        if (!read_chunk(self, key, at, &chunk, err) || !check_shape(key, chunk, &shape, err))
            return false;
        for (size_t i = 0; i < chunk->element[3]->elements; i++)
            if (!give(key, chunk->element[3]->element[i], at++, each, ctx, err))
                return false;
        if (chunk->element[3]->elements == 0)
            break;
    } while (at < shape.length);
    return true;
}

bool list_read(void *list, item_fn each, void *ctx, struct error *err)
{
    struct list *self = list;

    return read_key(self, self->taken, each, ctx, err) &&
           (self->is_taken || read_key(self, self->name, each, ctx, err));
}
