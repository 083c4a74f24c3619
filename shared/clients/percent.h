/*
 * percent.h — %XX in URLs
 *
 * Why:    passwords hold @ : and /; both directions live here so that they agree.
 * Errors: false: the text does not fit, or what follows a % is not two hex digits.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Encodes all but letters, digits and -._~; out is terminated. */
bool percent_encode(const char *text, char *out, size_t out_size);
/* Decodes size_bytes of text; %00 is refused; out is terminated. */
bool percent_decode(const char *text, size_t size_bytes, char *out, size_t out_size);
