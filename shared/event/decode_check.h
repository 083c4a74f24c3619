/*
 * decode_check.h — from the fields of one object to a checked event
 *
 * Every rule of docs/api.md's "Fields" is here, and none of it knows how the body was parsed.
 */
#pragma once

#include "event/decode.h"
#include "event/decode_fields.h"

enum {
    DECODE_CLOCK_AHEAD_MS = 5 * 60 * 1000,        /* a time may be so far ahead of receipt */
    DECODE_CLOCK_BEHIND_MS = 24 * 60 * 60 * 1000, /* and so far behind */
};

/* False: faults says every field that is wrong, and out is not written. */
bool check_fields(const struct fields *fields, const struct decode_context *context,
                  struct decoded *out, struct faults *faults);
