/*
 * record.h — one click of an earlier tracker: as it was found, and as an event
 *
 * Why:    tables, files and lists give the same few fields as text. From here on all of them take
 *         one path, with one set of rules: those of the gateway where it has any.
 * Units:  a time is RFC 3339, or Unix seconds or milliseconds; playback is in seconds.
 * Errors: ERROR_INVALID with a sentence for the rejects file.
 * Memory: views into the source's own storage, good until its next record.
 */
#pragma once

#include "base/error.h"
#include "event/event.h"
#include "fields.h"

struct record_value {
    const char *text; /* not terminated; NULL: not given */
    size_t size;
};

struct record {
    struct record_value values[CLICK_FIELD_COUNT];
};

struct click {
    struct event event; /* its id is not set, its visitor is 0 */
    struct record_value source_id, user_agent;
};

MUST_CHECK bool click_from_record(const struct record *record, struct click *out,
                                  struct error *err);
