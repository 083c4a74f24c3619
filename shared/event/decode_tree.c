#include "event/decode_tree.h"

#include <jansson.h>
#include <stdlib.h>

enum {
    /*
     * jansson's worst is an array of empty objects: 3 bytes become about 240. The block is
     * address space only; the pages that a normal event touches are a few.
     */
    ARENA_BYTES = 96 * DECODE_EVENT_MAX,
};

/* ---- jansson's memory ---- */

/*
 * jansson's allocator is one for the whole process, so the choice is made per thread and call:
 * while a parser works on this thread its arena is here, and nothing made before or after it is
 * freed meanwhile; elsewhere jansson uses malloc and free.
 */
static _Thread_local struct arena *current_arena;

static void *on_alloc(size_t size_bytes)
{
    return current_arena != NULL ? arena_alloc(current_arena, size_bytes) : malloc(size_bytes);
}

static void on_free(void *pointer)
{
    if (current_arena == NULL)
        free(pointer);
}

/* Before main, as jansson asks for: no thread is using it yet. */
__attribute__((constructor)) static void install_allocator(void)
{
    json_set_alloc_funcs(on_alloc, on_free);
}

bool tree_init(struct tree_parser *parser)
{
    return arena_init(&parser->arena, ARENA_BYTES);
}

void tree_free(struct tree_parser *parser)
{
    arena_free(&parser->arena);
}

/* ---- parsing ---- */

/* jansson's own limit of depth is fixed at 2048. */
int decode_depth(const char *text, size_t size_bytes)
{
    int depth = 0;
    int deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < size_bytes; i++) {
        char c = text[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
    }
    return deepest;
}

static const char *explain(enum json_error_code code)
{
    static const char *const reasons[] = {
        [json_error_premature_end_of_input] = "the text ends too early",
        [json_error_end_of_input_expected] = "there is something behind the value",
        [json_error_invalid_utf8] = "the text is not UTF-8",
        [json_error_null_character] = "NUL is not allowed",
        [json_error_null_byte_in_key] = "NUL is not allowed in a key",
        [json_error_duplicate_key] = "a key stands twice",
        [json_error_numeric_overflow] = "a number is too large",
    };
    const char *reason = NULL;

    if ((size_t)code < sizeof(reasons) / sizeof(reasons[0]))
        reason = reasons[code];
    return reason != NULL ? reason : "the syntax is wrong";
}

static bool fail(struct faults *faults, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);

    if (code == json_error_out_of_memory)
        fault_add(faults, FAULT_TOO_LARGE, "", "the event takes too much memory");
    else if (error->line < 1) /* a request without a body has no text at all */
        fault_add(faults, FAULT_INVALID_JSON, "", "the body is empty");
    else
        fault_add(faults, FAULT_INVALID_JSON, "", "line %d, column %d: %s", error->line,
                  error->column, explain(code));
    return false;
}

/* Borrowed until the arena is reset; there is nothing to release. */
static const json_t *parse(struct tree_parser *parser, const char *text, size_t size_bytes,
                           size_t flags, struct faults *faults)
{
    json_error_t error = {0};
    const json_t *root = NULL;

    arena_reset(&parser->arena);
    current_arena = &parser->arena;
    root = json_loadb(text, size_bytes, flags, &error);
    current_arena = NULL;
    if (root == NULL)
        (void)fail(faults, &error);
    return root;
}

static bool is_within_limits(const char *text, size_t size_bytes, int depth_max,
                             struct faults *faults)
{
    if (size_bytes > DECODE_EVENT_MAX) {
        fault_add(faults, FAULT_TOO_LARGE, "", "an event may have %d bytes", DECODE_EVENT_MAX);
        return false;
    }
    if (decode_depth(text, size_bytes) > depth_max) {
        fault_add(faults, FAULT_INVALID_JSON, "", "it is nested deeper than %d levels",
                  DECODE_DEPTH_MAX);
        return false;
    }
    return true;
}

static void read_value(const json_t *json, struct value *out)
{
    switch (json_typeof(json)) {
    case JSON_STRING:
        out->kind = VALUE_STRING;
        out->text = json_string_value(json);
        out->size = json_string_length(json);
        return;
    case JSON_INTEGER:
        out->kind = VALUE_INTEGER;
        out->integer = json_integer_value(json);
        out->real = (double)out->integer;
        return;
    case JSON_REAL:
        out->kind = VALUE_REAL;
        out->real = json_real_value(json);
        return;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        out->kind = VALUE_OTHER;
        return;
    }
}

bool tree_parse_fields(struct tree_parser *parser, const char *text, size_t size_bytes,
                       int depth_max, struct fields *out, struct faults *faults)
{
    const json_t *root = NULL;

    faults->count = 0;
    if (!is_within_limits(text, size_bytes, depth_max, faults))
        return false;
    root = parse(parser, text, size_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, faults);
    if (root == NULL)
        return false;
    if (!json_is_object(root)) {
        fault_add(faults, FAULT_INVALID_JSON, "", "an object is expected");
        return false;
    }
    out->present = 0;
    for (int i = 0; i < SPELLING_COUNT; i++) {
        const json_t *json = json_object_get(root, spelling_name((enum spelling)i));

        if (json == NULL)
            continue;
        out->present |= 1U << i;
        read_value(json, &out->values[i]);
    }
    return true;
}

bool tree_is_json(struct tree_parser *parser, const char *text, size_t size_bytes, int depth_max,
                  struct faults *faults)
{
    faults->count = 0;
    return is_within_limits(text, size_bytes, depth_max, faults) &&
           parse(parser, text, size_bytes, JSON_DECODE_ANY, faults) != NULL;
}
