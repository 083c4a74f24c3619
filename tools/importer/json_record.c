#include "json_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const wrappings[] = {"record", "click",   "event", "payload",
                                        "data",   "message", "body",  NULL};

static json_t *load(const char *text, size_t size_bytes, struct error *err)
{
    json_error_t why;
    json_t *json = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, &why);

    if (json == NULL)
        error_set(err, ERROR_INVALID, "not JSON: %.100s", why.text);
    return json;
}

static bool has_ad(json_t *object)
{
    const char *name = NULL;
    json_t *value = NULL;
    int field = 0;
    size_t rank = 0;

    json_object_foreach(object, name, value)
    {
        if (field_find(&click_fields, name, &field, &rank) && field == CLICK_AD_ID)
            return true;
    }
    return false;
}

/* The object that holds the click; the root itself when nothing wraps one. */
static json_t *unwrap(struct json_record *self)
{
    json_t *root = self->roots[0];

    if (has_ad(root))
        return root;
    for (size_t i = 0; wrappings[i] != NULL; i++) {
        json_t *inner = json_object_get(root, wrappings[i]);
        struct error ignored; /* then it is no wrapped record, and the root is judged */

        if (json_is_object(inner))
            return inner;
        if (!json_is_string(inner))
            continue;
        self->roots[1] = load(json_string_value(inner), json_string_length(inner), &ignored);
        if (json_is_object(self->roots[1]))
            return self->roots[1];
        json_decref(self->roots[1]);
        self->roots[1] = NULL;
    }
    return root;
}

/* The value as text; a number is written into number. */
static bool read_value(const json_t *value, int field, char number[JSON_NUMBER_SIZE],
                       struct record_value *out, struct error *err)
{
    if (json_is_string(value)) {
        *out = (struct record_value){json_string_value(value), json_string_length(value)};
        return true;
    }
    if (json_is_integer(value))
        snprintf(number, JSON_NUMBER_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, JSON_NUMBER_SIZE, "%.17g", json_real_value(value));
    else
        return error_set(err, ERROR_INVALID, "%s is neither text nor a number",
                         click_fields.fields[field].name);
    *out = (struct record_value){number, strlen(number)};
    return true;
}

static bool is_same(const struct record_value *one, const struct record_value *other)
{
    return one->size == other->size && memcmp(one->text, other->text, one->size) == 0;
}

/* The best spelling of a field stays; two of one rank must agree. */
static bool take_value(struct json_record *self, int field, size_t rank, const json_t *member,
                       struct error *err)
{
    struct record_value *place = &self->record.values[field];
    char number[JSON_NUMBER_SIZE];
    struct record_value value = {"", 0};

    if (place->text != NULL && self->ranks[field] < rank)
        return true;
    if (!read_value(member, field, number, &value, err))
        return false;
    if (place->text != NULL && self->ranks[field] == rank && !is_same(place, &value))
        return error_set(err, ERROR_INVALID, "two spellings of %s disagree",
                         click_fields.fields[field].name);
    if (value.text == number) {
        memcpy(self->numbers[field], number, value.size + 1);
        value.text = self->numbers[field];
    }
    *place = value;
    self->ranks[field] = rank;
    return true;
}

static bool take_members(struct json_record *self, json_t *object, struct error *err)
{
    const char *name = NULL;
    json_t *member = NULL;

    json_object_foreach(object, name, member)
    {
        int field = 0;
        size_t rank = 0;

        if (!json_is_null(member) && field_find(&click_fields, name, &field, &rank) &&
            !take_value(self, field, rank, member, err))
            return false;
    }
    return true;
}

bool json_record_read(const char *text, size_t size_bytes, struct json_record *out,
                      struct error *err)
{
    *out = (struct json_record){.roots = {NULL, NULL}};
    if (size_bytes > JSON_RECORD_MAX)
        return error_set(err, ERROR_INVALID, "more than %d bytes", JSON_RECORD_MAX);
    out->roots[0] = load(text, size_bytes, err);
    if (out->roots[0] == NULL)
        return false;
    if (!json_is_object(out->roots[0]))
        return error_set(err, ERROR_INVALID, "not a JSON object");
    return take_members(out, unwrap(out), err);
}

void json_record_free(struct json_record *record)
{
    json_decref(record->roots[0]);
    json_decref(record->roots[1]);
    record->roots[0] = record->roots[1] = NULL;
}
