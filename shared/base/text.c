#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void text_init(struct text *text, size_t limit_bytes)
{
    *text = (struct text){.limit = limit_bytes};
}

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){.limit = text->limit};
}

void text_reset(struct text *text)
{
    text->size = 0;
    text->failed = false;
    if (text->bytes != NULL)
        text->bytes[0] = '\0';
}

bool text_ok(const struct text *text)
{
    return !text->failed;
}

const char *text_str(const struct text *text)
{
    return text->bytes == NULL ? "" : text->bytes;
}

/* Makes room for so many bytes more and the terminator. */
static bool reserve(struct text *text, size_t more)
{
    size_t capacity = text->capacity == 0 ? FIRST_CAPACITY : text->capacity;
    char *bytes = NULL;

    if (text->failed)
        return false;
    if (more > text->limit - text->size) {
        text->failed = true;
        return false;
    }
    if (text->size + more < text->capacity)
        return true;
    while (capacity <= text->size + more)
        capacity *= 2;
    bytes = realloc(text->bytes, capacity);
    if (bytes == NULL) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

char *text_take(struct text *text, size_t *out_size_bytes)
{
    char *bytes = NULL;

    if (!reserve(text, 0)) /* an empty text is a text too */
        return NULL;
    text->bytes[text->size] = '\0';
    bytes = text->bytes;
    *out_size_bytes = text->size;
    text->bytes = NULL;
    text->size = 0;
    text->capacity = 0;
    return bytes;
}

void text_add(struct text *text, const char *bytes, size_t size_bytes)
{
    if (!reserve(text, size_bytes))
        return;
    if (size_bytes > 0)
        memcpy(text->bytes + text->size, bytes, size_bytes);
    text->size += size_bytes;
    text->bytes[text->size] = '\0';
}

void text_add_str(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_add_char(struct text *text, char c)
{
    text_add(text, &c, 1);
}

void text_add_int(struct text *text, int64_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    text_add(text, digits + at, sizeof(digits) - at);
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    va_list again;
    int size = 0;

    va_start(args, format);
    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, args);
    if (size < 0)
        text->failed = true;
    else if (reserve(text, (size_t)size)) {
        (void)vsnprintf(text->bytes + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
    va_end(args);
}

/* What JSON says in two characters; 0: not one of them. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static void add_escaped(struct text *text, char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape = short_escape(c);
    char unicode[6] = {'\\', 'u', '0', '0', hex[(unsigned char)c >> 4], hex[c & 0xf]};
    char pair[2] = {'\\', escape};

    if (escape != 0)
        text_add(text, pair, sizeof(pair));
    else
        text_add(text, unicode, sizeof(unicode));
}

/* How many bytes from here need no escape. */
static size_t plain_size(const char *bytes, size_t size_bytes)
{
    size_t at = 0;

    while (at < size_bytes) {
        unsigned char c = (unsigned char)bytes[at];
        size_t step = utf8_sequence_size(bytes + at, size_bytes - at);

        if (step == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            break;
        at += step;
    }
    return at;
}

void text_add_json_string(struct text *text, const char *bytes, size_t size_bytes)
{
    size_t at = 0;

    text_add_char(text, '"');
    while (at < size_bytes && !text->failed) {
        size_t plain = plain_size(bytes + at, size_bytes - at);

        text_add(text, bytes + at, plain);
        at += plain;
        if (at == size_bytes)
            break;
        if ((unsigned char)bytes[at] >= 0x80)
            text_add_str(text, "\xef\xbf\xbd"); /* U+FFFD: one for each byte that is not UTF-8 */
        else
            add_escaped(text, bytes[at]);
        at++;
    }
    text_add_char(text, '"');
}

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The ranges of Unicode's table 3-7: no overlong form, no surrogate, nothing past U+10FFFF. */
size_t utf8_sequence_size(const char *bytes, size_t size_bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t due = 0;

    if (size_bytes == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return 0;
    due = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (size_bytes < due || b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < due; i++) {
        if (!is_continuation(b[i]))
            return 0;
    }
    return due;
}
