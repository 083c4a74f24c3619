/*
 * A batch is cut into its elements first, and each element is decoded as if it had come alone.
 * An array is walked twice: every element must be JSON before the first one is handed out, since
 * an array that is broken further on is no array. An NDJSON line stands for itself.
 */
#include "event/decode.h"

#include "event/decode_parser.h"

#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

/* Gives the next element; false: there is none left, or (an array's) *broken says otherwise. */
typedef bool (*next_fn)(struct cursor *cursor, struct slice *out, bool *out_broken);

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && is_blank(*cursor->at))
        cursor->at++;
}

/* ---- NDJSON ---- */

static bool next_line(struct cursor *cursor, struct slice *out, bool *out_broken)
{
    const char *newline = NULL;

    *out_broken = false;
    skip_blanks(cursor); /* blank lines too */
    if (cursor->at == cursor->end)
        return false;
    newline = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
    out->text = cursor->at;
    out->size = (size_t)((newline != NULL ? newline : cursor->end) - cursor->at);
    cursor->at += out->size;
    return true;
}

/* ---- array ---- */

/* The end of the value that begins here: the comma or bracket behind it, on its own level. */
static const char *find_value_end(const char *at, const char *end)
{
    int depth = 0;
    bool in_string = false;

    for (; at < end; at++) {
        char c = *at;

        if (in_string && c == '\\' && at + 1 < end)
            at++;
        else if (c == '"')
            in_string = !in_string;
        else if (in_string)
            continue;
        else if (depth == 0 && (c == ',' || c == ']'))
            return at;
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
    }
    return end;
}

/* The cursor stands on the bracket that opens the array, or on the comma or bracket behind an
 * element. */
static bool next_element(struct cursor *cursor, struct slice *out, bool *out_broken)
{
    bool is_first = false;

    *out_broken = cursor->at == cursor->end;
    if (*out_broken || *cursor->at == ']')
        return false;
    is_first = *cursor->at == '[';
    cursor->at++;
    skip_blanks(cursor);
    if (is_first && cursor->at < cursor->end && *cursor->at == ']')
        return false; /* an empty array */
    out->text = cursor->at;
    cursor->at = find_value_end(cursor->at, cursor->end);
    out->size = (size_t)(cursor->at - out->text);
    return true;
}

static bool refuse(struct faults *faults, enum fault_code code, const char *detail)
{
    faults->count = 0;
    fault_add(faults, code, "", "%s", detail);
    return false;
}

/* faults holds what is wrong with its JSON. */
static bool refuse_element(struct faults *faults, size_t index)
{
    char why[sizeof(faults->rows[0].detail)];

    memcpy(why, faults->rows[0].detail, sizeof(why));
    faults->count = 0;
    fault_add(faults, FAULT_INVALID_JSON, "", "element %zu: %s", index, why);
    return false;
}

/* An element over its limit is not looked into: it is one faulty element. */
static bool is_element(struct decoder *decoder, const struct slice *slice, struct faults *faults)
{
    struct fields fields;

    return slice->size > DECODE_EVENT_MAX || flat_parse_fields(slice->text, slice->size, &fields) ||
           tree_is_json(&decoder->tree, slice->text, slice->size, DECODE_DEPTH_MAX - 1, faults);
}

/* After the last element: the bracket, and nothing behind it. */
static bool is_closed(struct cursor cursor)
{
    if (cursor.at == cursor.end || *cursor.at != ']')
        return false;
    cursor.at++;
    skip_blanks(&cursor);
    return cursor.at == cursor.end;
}

static bool check_array(struct decoder *decoder, struct cursor cursor, size_t events_max,
                        struct faults *faults)
{
    struct slice slice;
    bool broken = false;
    size_t count = 0;

    if (cursor.at == cursor.end || *cursor.at != '[')
        return refuse(faults, FAULT_INVALID_JSON,
                      "an array is expected, or NDJSON of its own type");
    while (next_element(&cursor, &slice, &broken)) {
        if (++count > events_max)
            return refuse(faults, FAULT_TOO_MANY_EVENTS, "the batch has too many events");
        if (!is_element(decoder, &slice, faults))
            return refuse_element(faults, count - 1);
    }
    if (broken || !is_closed(cursor))
        return refuse(faults, FAULT_INVALID_JSON, "the array does not end as it should");
    if (count == 0)
        return refuse(faults, FAULT_NO_EVENTS, "the batch has no events");
    return true;
}

static bool check_lines(struct cursor cursor, size_t events_max, struct faults *faults)
{
    struct slice slice;
    bool broken = false;
    size_t count = 0;

    while (next_line(&cursor, &slice, &broken)) {
        if (++count > events_max)
            return refuse(faults, FAULT_TOO_MANY_EVENTS, "the batch has too many events");
    }
    return count > 0 || refuse(faults, FAULT_NO_EVENTS, "the batch has no events");
}

/* ---- the batch ---- */

/* A body with its shape and limit, and a callback: all of them are the caller's own. */
/* NOLINTNEXTLINE(readability-function-size): a struct of options would only move the nine */
bool decode_batch(struct decoder *decoder, const char *body, size_t size_bytes, bool is_ndjson,
                  size_t events_max, const struct decode_context *context, struct faults *faults,
                  decode_each_fn each, void *ctx)
{
    struct cursor cursor = {.at = body, .end = body + size_bytes};
    struct decode_context element = *context;
    next_fn next = is_ndjson ? next_line : next_element;
    int depth_max = is_ndjson ? DECODE_DEPTH_MAX : DECODE_DEPTH_MAX - 1;
    struct slice slice;
    bool broken = false;

    faults->count = 0;
    skip_blanks(&cursor);
    if (is_ndjson ? !check_lines(cursor, events_max, faults)
                  : !check_array(decoder, cursor, events_max, faults))
        return false;
    element.idempotency_key = NULL; /* it names one request, and cannot name each of its events */
    for (size_t index = 0; next(&cursor, &slice, &broken); index++) {
        struct decoded decoded;
        struct faults found = {0};
        bool ok = decode_object(decoder, &slice, depth_max, &element, &decoded, &found);

        each(ctx, index, ok ? &decoded : NULL, ok ? NULL : &found);
    }
    return true;
}
