/*
 * decode_tree.h — any JSON text, read by jansson
 *
 * Why:     it knows all of JSON and is strict: the truth that the fast path must agree with.
 * Errors:  a fault of code invalid_json (400) or too_large (413).
 * Memory:  jansson allocates from the parser's arena while tree_parse_fields runs; the texts in
 *          fields are borrowed until the next call. Everywhere else jansson uses malloc as ever.
 * Threads: one parser per thread.
 * Limits:  DECODE_EVENT_MAX bytes a text, depth_max levels.
 */
#pragma once

#include "event/decode.h"
#include "event/decode_fields.h"

#include "base/arena.h"

struct tree_parser {
    struct arena arena;
};

bool tree_init(struct tree_parser *parser); /* false: no memory */
void tree_free(struct tree_parser *parser);

/* The fields of one JSON object. */
bool tree_parse_fields(struct tree_parser *parser, const char *text, size_t size_bytes,
                       int depth_max, struct fields *out, struct faults *faults);

/* Is it one JSON value by the grammar, duplicate keys allowed? */
bool tree_is_json(struct tree_parser *parser, const char *text, size_t size_bytes, int depth_max,
                  struct faults *faults);
