/*
 * decode_parser.h — the decoder's inside, which decode.c and decode_batch.c share
 */
#pragma once

#include "event/decode.h"
#include "event/decode_flat.h"
#include "event/decode_tree.h"

#include "base/auto.h"

struct decoder {
    struct tree_parser tree;
};

/* A part of the body, borrowed from it. */
struct slice {
    const char *text;
    size_t size;
};

/* One event, alone or as an element that may nest depth_max levels. */
bool decode_object(struct decoder *decoder, const struct slice *text, int depth_max,
                   const struct decode_context *context, struct decoded *out,
                   struct faults *faults);
