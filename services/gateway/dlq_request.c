#include "dlq_request.h"

#include "event/decode.h"

#include <jansson.h>
#include <string.h>

static void take_ids(const json_t *ids, struct dlq_request *out, struct faults *faults)
{
    if (!json_is_array(ids) || json_array_size(ids) == 0 ||
        json_array_size(ids) > DLQ_LETTERS_MAX) {
        fault_add(faults, FAULT_INVALID_TYPE, "ids", "must be a list of 1 to %d ids",
                  DLQ_LETTERS_MAX);
        return;
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_integer(id) || json_integer_value(id) < 1) {
            fault_add(faults, FAULT_INVALID_TYPE, "ids", "entry %zu is no id", i);
            return;
        }
        out->ids[out->id_count++] = json_integer_value(id);
    }
}

static void take_code(const json_t *code, const json_t *limit, struct dlq_request *out,
                      struct faults *faults)
{
    size_t size = json_is_string(code) ? json_string_length(code) : 0;

    if (!json_is_string(code) || !letter_code_is_valid(json_string_value(code), size))
        fault_add(faults, FAULT_INVALID_TYPE, "code", "must be a code of dead letters");
    else
        memcpy(out->code, json_string_value(code), size + 1);
    out->limit = DLQ_LETTERS_MAX;
    if (limit == NULL)
        return;
    out->limit = json_is_integer(limit) ? json_integer_value(limit) : 0;
    if (out->limit < 1 || out->limit > DLQ_LETTERS_MAX)
        fault_add(faults, FAULT_INVALID_TYPE, "limit", "must be a number from 1 to %d",
                  DLQ_LETTERS_MAX);
}

static void take_members(const json_t *root, struct dlq_request *out, struct faults *faults)
{
    const json_t *ids = json_object_get(root, "ids");
    const json_t *code = json_object_get(root, "code");
    const json_t *again = json_object_get(root, "again");

    if (ids == NULL && code == NULL)
        fault_add(faults, FAULT_MISSING_FIELD, "ids", "must be given, or a code");
    else if (ids != NULL && code != NULL)
        fault_add(faults, FAULT_CONFLICTING_FIELDS, "ids", "cannot stand beside code");
    else if (ids != NULL)
        take_ids(ids, out, faults);
    else
        take_code(code, json_object_get(root, "limit"), out, faults);
    if (again != NULL && !json_is_boolean(again))
        fault_add(faults, FAULT_INVALID_TYPE, "again", "must be true or false");
    out->is_again = json_is_true(again);
}

bool dlq_request_parse(const char *body, size_t size_bytes, struct dlq_request *out,
                       struct faults *faults)
{
    json_t *root = NULL;

    *out = (struct dlq_request){0};
    /* The rules of every other body: no key twice, and no deeper than they. */
    if (decode_depth(body, size_bytes) <= DECODE_DEPTH_MAX)
        root = json_loadb(body, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(root))
        take_members(root, out, faults);
    else
        fault_add(faults, FAULT_INVALID_JSON, "",
                  "the body must be a JSON object of at most %d levels", DECODE_DEPTH_MAX);
    json_decref(root);
    return faults->count == 0;
}
