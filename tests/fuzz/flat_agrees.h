/*
 * flat_agrees.h — the fast parser held against jansson on one body
 *
 * Shared by the unit test, which makes bodies at random, and by the fuzz target, which makes them
 * by coverage. What the fast parser leaves to jansson cannot disagree.
 */
#pragma once

#include "event/decode_flat.h"
#include "event/decode_tree.h"

#include <math.h>
#include <string.h>

static inline const char *values_disagree(const struct value *flat, const struct value *tree)
{
    if (flat->kind != tree->kind)
        return "another kind of value";
    switch (flat->kind) {
    case VALUE_STRING:
        if (flat->size != tree->size || memcmp(flat->text, tree->text, flat->size) != 0)
            return "another text";
        return NULL;
    case VALUE_INTEGER:
        return flat->integer != tree->integer || flat->real != tree->real ? "another integer"
                                                                          : NULL;
    case VALUE_REAL:
        return flat->real != tree->real || signbit(flat->real) != signbit(tree->real)
                   ? "another real"
                   : NULL;
    case VALUE_OTHER:
        return "a value that only jansson may read";
    }
    return "an unknown kind of value";
}

/* NULL: they agree; else what they disagree about. */
static inline const char *flat_disagrees(struct tree_parser *parser, const char *text,
                                         size_t size_bytes)
{
    struct fields flat;
    struct fields tree;
    struct faults faults = {0};

    if (!flat_parse_fields(text, size_bytes, &flat))
        return NULL;
    if (!tree_parse_fields(parser, text, size_bytes, DECODE_DEPTH_MAX, &tree, &faults))
        return "jansson refuses it";
    if (flat.present != tree.present)
        return "other fields";
    for (int i = 0; i < SPELLING_COUNT; i++) {
        const char *why = fields_have(&flat, (enum spelling)i)
                              ? values_disagree(&flat.values[i], &tree.values[i])
                              : NULL;
        if (why != NULL)
            return why;
    }
    return NULL;
}
