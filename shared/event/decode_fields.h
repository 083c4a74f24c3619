/*
 * decode_fields.h — what one JSON object says in the fields that we know, not yet checked
 *
 * Why:    two parsers read bodies, a fast one for the usual shape and jansson for everything. Both
 *         fill this struct and one checker reads it, so that they can only differ in the parsing.
 * Shape:  a value for each spelling of a field, so that two spellings in one body can be compared.
 * Memory: texts are borrowed from the body or from the parser's arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_id {
    FIELD_AD_ID,
    FIELD_TYPE,
    FIELD_TIMESTAMP,
    FIELD_IP,
    FIELD_PLAYBACK_TIME,
    FIELD_EVENT_ID,
    FIELD_COUNT,
};

/* Every spelling of every field; those of one field stand together. */
enum spelling {
    SPELLING_AD_ID,
    SPELLING_AD_ID_CAMEL,
    SPELLING_TYPE,
    SPELLING_TIMESTAMP,
    SPELLING_IP,
    SPELLING_IP_ADDRESS,
    SPELLING_IP_ADDRESS_CAMEL,
    SPELLING_PLAYBACK_TIME,
    SPELLING_VIDEO_PLAYBACK_TIME,
    SPELLING_VIDEO_PLAYBACK_TIME_CAMEL,
    SPELLING_VIDEO_PLAY_TIME,
    SPELLING_EVENT_ID,
    SPELLING_EVENT_ID_CAMEL,
    SPELLING_CLICK_ID,
    SPELLING_CLICK_ID_CAMEL,
    SPELLING_COUNT,
    SPELLING_UNKNOWN = SPELLING_COUNT,
};

enum value_kind {
    VALUE_STRING,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_OTHER, /* null, true, false, an array or an object: never right in a field of ours */
};

struct value {
    enum value_kind kind;
    const char *text; /* of a STRING; UTF-8, may hold any byte but NUL, not terminated */
    size_t size;
    int64_t integer; /* of an INTEGER */
    double real;     /* of an INTEGER and of a REAL */
};

struct fields {
    uint32_t present; /* bit 1 << spelling; the other values are not set */
    struct value values[SPELLING_COUNT];
};

/* SPELLING_UNKNOWN when the name is none of ours. */
enum spelling spelling_find(const char *name, size_t size_bytes);

const char *spelling_name(enum spelling spelling);
const char *field_name(enum field_id field); /* canonical: "playback_time" */

/* The spellings of a field are first..last, inclusive. */
void field_spellings(enum field_id field, enum spelling *out_first, enum spelling *out_last);

static inline bool fields_have(const struct fields *fields, enum spelling spelling)
{
    return (fields->present & (1U << spelling)) != 0;
}
