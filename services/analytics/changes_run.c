#include "base/auto.h"
#include "changes_private.h"
#include "changes_script.h"
#include "recent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys and head come before the list; their text lies in the caller's buffer. */
struct head {
    char keys[CHANGES_SCRIPT_KEYS][BUCKET_KEY_MAX];
    char next[POSITION_SIZE], fresh[24], rebuilt[24];
    const char *argv[CHANGES_SCRIPT_KEYS + CHANGES_SCRIPT_HEAD];
};

static void name_keys(const struct changes *self, struct head *head)
{
    bucket_key_position(head->keys[0], self->partition);
    bucket_key_fresh(head->keys[1], self->partition);
    bucket_key_state(head->keys[2], self->partition);
    bucket_key_absent(head->keys[3], self->partition);
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
        position_format(*guard->next_position, head->next);
    if (guard->fresh_at_ms != 0)
        snprintf(head->fresh, sizeof(head->fresh), "%" PRId64, guard->fresh_at_ms);
    *word++ = kinds[guard->kind];
    *word++ = guard->expected == NULL ? "" : guard->expected;
    *word++ = guard->token == NULL ? "" : guard->token;
    *word++ = head->next;
    *word++ = head->fresh;
    *word++ = guard->phase == NULL ? "" : guard->phase;
    snprintf(head->rebuilt, sizeof(head->rebuilt), "%" PRId64, guard->rebuilt_at_ms);
    *word = head->rebuilt;
}

/* {1, items, whether a day was closed already} or {0, stored position}. */
static bool read_reply(const redisReply *reply, struct changes_result *out, struct error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return error_set(err, ERROR_INTERNAL, "redis: the script's answer has another shape");
    *out = (struct changes_result){.is_lost = reply->element[0]->integer == 0,
                                   .has_late_day =
                                       reply->elements > 2 && reply->element[2]->integer != 0};

    const redisReply *text = reply->element[1];

    if (out->is_lost) {
        out->has_position = text->len > 0;
        out->position = position_parse(text->str);
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

    if (changes->failed || !text_ok(&changes->bytes) ||
        (changes->capacity == 0 && !changes_grow(changes)))
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
    if (!redis_eval(redis, &changes->script, CHANGES_SCRIPT_KEYS, (int)argc, changes->argv,
                    changes->argv_sizes, &reply, err) ||
        !read_reply(reply, out, err))
        return false;
    if (!out->is_lost && !out->has_late_day && changes->known != NULL)
        recent_commit(changes->known);
    return true;
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
