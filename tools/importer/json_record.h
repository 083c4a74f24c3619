/*
 * json_record.h — a record from one JSON text: a line of a file, an element of a list
 *
 * Why:    trackers wrote the click itself, or wrapped it with why it failed: {"click":{...},
 *         "error":"..."}. One wrapping, as an object or as JSON in a string, is looked through; so
 *         a file of rejects can be corrected and imported again.
 * Errors: ERROR_INVALID says what is wrong with the text.
 * Memory: record's views live until json_record_free.
 */
#pragma once

#include "record.h"

#include <jansson.h>

enum { JSON_RECORD_MAX = 1 << 20, JSON_NUMBER_SIZE = 32 };

struct json_record {
    struct record record;
    json_t *roots[2];                /* the text, and what a string in it held */
    size_t ranks[CLICK_FIELD_COUNT]; /* of the spelling that gave each value */
    char numbers[CLICK_FIELD_COUNT][JSON_NUMBER_SIZE];
};

MUST_CHECK bool json_record_read(const char *text, size_t size_bytes, struct json_record *out,
                                 struct error *err);
void json_record_free(struct json_record *record);
