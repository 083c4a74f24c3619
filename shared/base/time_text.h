/*
 * time_text.h — RFC 3339 instants, to and from Unix milliseconds
 *
 * Why:    strptime takes too much and depends on the locale; what a client calls a timestamp is
 *         either exactly one instant or refused.
 * Limits: years 0001 to 9999 in UTC; an instant outside is refused, or written as the nearest one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIME_TEXT_SIZE = 25 }; /* "2026-01-02T03:04:05.678Z" and its NUL */

/* Strict RFC 3339 with any offset; 1 to 9 fraction digits, cut to ms; a leap second is :59. */
bool time_text_parse(const char *text, size_t size_bytes, int64_t *out_at_ms);
void time_text_format(int64_t at_ms, char out[TIME_TEXT_SIZE]);
