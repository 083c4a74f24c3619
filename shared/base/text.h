/*
 * text.h — text that grows up to a limit
 *
 * Why:    an answer or a metrics page is put together from dozens of pieces. Each call may fail,
 *         but only the whole counts: a failed text stays failed, and text_ok asks once, at the end.
 * Shape:  one heap block that doubles. A zeroed struct is no text: call text_init.
 * Limits: limit_bytes; a text that would grow past it fails.
 * Memory: embedded in its owner; AUTO(text_free) struct text text; text_take hands the bytes over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes; /* always terminated, once there is anything; NULL: nothing yet */
    size_t size;
    size_t capacity;
    size_t limit;
    bool failed; /* no memory, or over the limit */
};

void text_init(struct text *text, size_t limit_bytes);
void text_free(struct text *text);
void text_reset(struct text *text); /* empty again, keeps its memory, forgets a failure */

/* True when every piece so far has been added. */
bool text_ok(const struct text *text);
const char *text_str(const struct text *text); /* terminated; "" when there is nothing */

/* The bytes, owned by the caller from now on (free); NULL when the text has failed. */
char *text_take(struct text *text, size_t *out_size_bytes);

void text_add(struct text *text, const char *bytes, size_t size_bytes);
void text_add_str(struct text *text, const char *string);
void text_add_char(struct text *text, char c);
void text_add_int(struct text *text, int64_t value);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes: control bytes are escaped, bytes that are not UTF-8 become
 * U+FFFD, so that the result is valid JSON whatever comes in. */
void text_add_json_string(struct text *text, const char *bytes, size_t size_bytes);

/* The first bytes of text that are one valid UTF-8 sequence: 1 to 4; 0: they are not one. */
size_t utf8_sequence_size(const char *bytes, size_t size_bytes);

/* What a hexadecimal digit of either case counts; -1: it is none. */
static inline int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}
