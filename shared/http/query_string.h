/*
 * query_string.h — a=b&c=d, read strictly
 *
 * Why:     a misspelt or doubled parameter that is silently ignored gives a wrong number.
 * Shape:   pure: the caller names the parameters it knows and receives their decoded values.
 *          Unknown names are ignored; "+" is a space; a name without "=" has an empty value.
 * Errors:  FAULT_INVALID_PARAMETER with the parameter's name: a broken percent-encoding, a NUL,
 *          a known name given twice, text over QUERY_VALUES_MAX.
 * Memory:  values live inside the struct, terminated; nothing to free.
 */
#pragma once

#include "event/decode.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUERY_NAMES_MAX = 16, QUERY_VALUES_MAX = 2048 };

struct query_string {
    const char *const *names; /* borrowed, NULL-terminated, at most QUERY_NAMES_MAX */
    const char *values[QUERY_NAMES_MAX];
    size_t sizes[QUERY_NAMES_MAX];
    char storage[QUERY_VALUES_MAX];
};

/* text is what follows the "?". */
bool query_string_parse(struct query_string *self, const char *const *names, const char *text,
                        size_t size_bytes, struct faults *faults);

/* The value, terminated; NULL: it was not given. A name that parse was not told is a mistake of
 * the caller's. */
const char *query_string_find(const struct query_string *self, const char *name);

/* Decimal digits with an optional "-", within the bounds. Not given: out_value stays as it is. */
bool query_string_int(const struct query_string *self, const char *name, int64_t min, int64_t max,
                      int64_t *out_value, struct faults *faults);

/* An RFC 3339 instant of the years 1970 to 9999, in Unix ms. Not given: out_at_ms stays as it is.
 */
bool query_string_instant(const struct query_string *self, const char *name, int64_t *out_at_ms,
                          struct faults *faults);

/* %XX becomes its byte; out has room for size_bytes. False: a broken escape or a NUL. */
bool query_string_decode(const char *text, size_t size_bytes, char *out, size_t *out_size_bytes);
