#include "runtime/log_format.h"

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Room that fields must leave: a closing quote and ,"cut":true}\n */
enum { TAIL_SIZE = 16, NUMBER_SIZE = 512, KEY_MAX = 64 };

/* All the wide conversions are one. */
static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long long) &&
                  sizeof(intmax_t) == sizeof(long long),
              "a 64-bit machine");

/* va_list inside a struct can be passed on by address on every platform. */
struct arguments {
    va_list list;
};

/* One % of a format. */
struct conversion {
    int width;
    int precision; /* -1: none given */
    bool is_zero_padded;
    bool is_wide; /* 64 bits: l, ll, z, j, t */
    char letter;
};

/* One value: its pieces up to the blank or the quote that ends it. */
struct value {
    const char *at; /* the rest of the format */
    bool is_quoted;
    bool is_string; /* the opening quote is written */
};

static bool has_room(const struct log_line *line, size_t size_bytes)
{
    return size_bytes + TAIL_SIZE <= sizeof(line->bytes) - line->size;
}

static void put_raw(struct log_line *line, const char *bytes, size_t size_bytes)
{
    if (!has_room(line, size_bytes)) {
        line->is_cut = true;
        return;
    }
    memcpy(line->bytes + line->size, bytes, size_bytes);
    line->size += size_bytes;
}

/* One character, or the escape that stands for it; returns how many bytes that used up. */
static size_t put_escaped(struct log_line *line, const char *bytes, size_t size_bytes)
{
    unsigned char c = (unsigned char)bytes[0];
    size_t step = utf8_sequence_size(bytes, size_bytes);
    char escape[8];

    if (step == 0)
        put_raw(line, "\xef\xbf\xbd", 3); /* U+FFFD */
    else if (c == '"' || c == '\\')
        put_raw(line, (const char[]){'\\', (char)c}, 2);
    else if (c == '\n')
        put_raw(line, "\\n", 2);
    else if (c < 0x20 || c == 0x7f)
        put_raw(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
    else
        put_raw(line, bytes, step);
    return step == 0 ? 1 : step;
}

static void put_text(struct log_line *line, const char *bytes, size_t size_bytes)
{
    /* Once cut, nothing follows: the rest of a text without its middle would mislead. */
    for (size_t at = 0; at < size_bytes && !line->is_cut;)
        at += put_escaped(line, bytes + at, size_bytes - at);
}

/* The closing byte of a string has its room in the tail. */
static void close_string(struct log_line *line)
{
    line->bytes[line->size++] = '"';
}

/* ,"key": or nothing at all. */
static bool put_key(struct log_line *line, const char *key, size_t size_bytes)
{
    char text[KEY_MAX + 8];
    int size = snprintf(text, sizeof(text), "%s\"%.*s\":", line->size > 1 ? "," : "",
                        (int)(size_bytes < KEY_MAX ? size_bytes : KEY_MAX), key);

    /* With room for "null" or two quotes: a key never stands without a value. */
    if (line->is_cut || !has_room(line, (size_t)size + strlen("null"))) {
        line->is_cut = true;
        return false;
    }
    put_raw(line, text, (size_t)size);
    return true;
}

void log_line_begin(struct log_line *line)
{
    line->size = 0;
    line->is_cut = false;
    put_raw(line, "{", 1);
}

void log_line_text(struct log_line *line, const char *key, const char *text)
{
    if (!put_key(line, key, strlen(key)))
        return;
    put_raw(line, "\"", 1);
    put_text(line, text, strlen(text));
    close_string(line);
}

void log_line_end(struct log_line *line)
{
    static const char cut[] = ",\"cut\":true}\n";
    const char *tail = line->is_cut ? cut : "}\n";
    size_t size = strlen(tail);

    memcpy(line->bytes + line->size, tail, size);
    line->size += size;
}

/* A number or *, as width and precision are given. */
static int read_count(const char **at, struct arguments *arguments)
{
    int count = 0;

    if (**at == '*') {
        (*at)++;
        return va_arg(arguments->list, int);
    }
    for (; **at >= '0' && **at <= '9'; (*at)++)
        count = count < NUMBER_SIZE ? count * 10 + (**at - '0') : count;
    return count;
}

static const char *read_size(const char *at, struct conversion *out)
{
    for (; *at != '\0' && strchr("hlzjt", *at) != NULL; at++)
        out->is_wide |= *at != 'h'; /* what is shorter than an int is passed as one */
    return at;
}

/* From behind the % to behind the letter. */
static const char *read_conversion(const char *at, struct arguments *arguments,
                                   struct conversion *out)
{
    *out = (struct conversion){.precision = -1};
    for (; *at != '\0' && strchr("-+ #0", *at) != NULL; at++)
        out->is_zero_padded |= *at == '0';
    out->width = read_count(&at, arguments);
    if (*at == '.') {
        at++;
        out->precision = read_count(&at, arguments);
    }
    at = read_size(at, out);
    out->letter = *at;
    return *at == '\0' ? at : at + 1;
}

static int64_t take_signed(const struct conversion *conversion, struct arguments *arguments)
{
    return conversion->is_wide ? va_arg(arguments->list, long long) : va_arg(arguments->list, int);
}

static uint64_t take_unsigned(const struct conversion *conversion, struct arguments *arguments)
{
    return conversion->is_wide ? va_arg(arguments->list, unsigned long long)
                               : va_arg(arguments->list, unsigned);
}

/* A size as snprintf tells it, within the room it had. */
static size_t kept(int size)
{
    return size < 0 ? 0 : size < NUMBER_SIZE ? (size_t)size : NUMBER_SIZE - 1;
}

/*
 * The text of a number, when the conversion is one that JSON can write as a number. Hexadecimal,
 * pointers and what is not finite are text.
 */
static size_t format_number(const struct conversion *conversion, struct arguments *arguments,
                            char out[NUMBER_SIZE], bool *out_is_json)
{
    int precision = conversion->precision < 0 ? 6 : conversion->precision;
    int width = conversion->is_zero_padded ? conversion->width : 0;
    double real = 0;

    *out_is_json = false;
    switch (conversion->letter) {
    case 'd':
    case 'i':
        *out_is_json = true;
        return kept(
            snprintf(out, NUMBER_SIZE, "%jd", (intmax_t)take_signed(conversion, arguments)));
    case 'u':
        *out_is_json = true;
        return kept(
            snprintf(out, NUMBER_SIZE, "%ju", (uintmax_t)take_unsigned(conversion, arguments)));
    case 'x':
    case 'X': /* in lower case too: one spelling to search for */
    case 'o':
        return kept(snprintf(out, NUMBER_SIZE, conversion->letter == 'o' ? "%0*jo" : "%0*jx", width,
                             (uintmax_t)take_unsigned(conversion, arguments)));
    case 'p':
        return kept(snprintf(out, NUMBER_SIZE, "%p", va_arg(arguments->list, void *)));
    case 'g':
        real = va_arg(arguments->list, double);
        *out_is_json = isfinite(real);
        return kept(snprintf(out, NUMBER_SIZE, "%.*g", precision, real));
    default: /* f, and all others in its form */
        real = va_arg(arguments->list, double);
        *out_is_json = isfinite(real);
        return kept(snprintf(out, NUMBER_SIZE, "%.*f", precision, real));
    }
}

/* From the first piece that is not a lone number on, the value is a string. */
static void begin_string(struct log_line *line, struct value *value)
{
    if (!value->is_string)
        put_raw(line, "\"", 1);
    value->is_string = true;
}

static bool is_at_end(const struct value *value)
{
    return *value->at == '\0' || *value->at == (value->is_quoted ? '"' : ' ');
}

static void put_string_argument(struct log_line *line, const struct conversion *conversion,
                                struct arguments *arguments)
{
    const char *text = va_arg(arguments->list, const char *);
    size_t size = 0;

    if (text == NULL)
        text = "(null)";
    size = conversion->precision < 0 ? strlen(text) : strnlen(text, (size_t)conversion->precision);
    put_text(line, text, size);
}

/* Whole or not at all: the first digits of a number are another number. */
static void put_number(struct log_line *line, const char *number, size_t size_bytes)
{
    put_raw(line, number, size_bytes);
    if (line->is_cut)
        put_raw(line, "null", strlen("null"));
}

static void put_conversion(struct log_line *line, struct value *value, bool is_first,
                           struct arguments *arguments)
{
    struct conversion conversion;
    char number[NUMBER_SIZE];
    bool is_json = false;
    size_t size = 0;

    value->at = read_conversion(value->at + 1, arguments, &conversion);
    switch (conversion.letter) {
    case '\0': /* a lone % ends the format */
        begin_string(line, value);
        return;
    case 's':
        begin_string(line, value);
        put_string_argument(line, &conversion, arguments);
        return;
    case 'c':
        begin_string(line, value);
        put_text(line, (const char[]){(char)va_arg(arguments->list, int)}, 1);
        return;
    case '%':
        begin_string(line, value);
        put_text(line, "%", 1);
        return;
    default:
        size = format_number(&conversion, arguments, number, &is_json);
        if (is_first && is_at_end(value) && is_json && !value->is_quoted)
            put_number(line, number, size);
        else {
            begin_string(line, value);
            put_text(line, number, size);
        }
    }
}

/* Arguments are taken even when nothing fits any more: the next ones come after them. */
static void put_value(struct log_line *line, struct value *value, struct arguments *arguments)
{
    for (bool is_first = true; !is_at_end(value); is_first = false) {
        if (*value->at == '%') {
            put_conversion(line, value, is_first, arguments);
        } else {
            size_t step = utf8_sequence_size(value->at, strlen(value->at));

            begin_string(line, value);
            put_text(line, value->at, step == 0 ? 1 : step);
            value->at += step == 0 ? 1 : step;
        }
    }
    value->at += value->is_quoted && *value->at == '"';
}

static const char *put_field(struct log_line *line, const char *at, struct arguments *arguments)
{
    static const char unnamed[] = "text";
    size_t key_size = strcspn(at, "= ");
    bool has_key = at[key_size] == '=';
    struct value value = {.at = has_key ? at + key_size + 1 : at};
    const char *start = NULL;

    value.is_quoted = *value.at == '"';
    value.at += value.is_quoted;
    start = value.at;
    if (!put_key(line, has_key ? at : unnamed, has_key ? key_size : strlen(unnamed)))
        return NULL; /* full: the fields that follow do not fit either */
    put_value(line, &value, arguments);
    if (value.at == start || (value.is_quoted && value.at == start + 1 && !value.is_string))
        begin_string(line, &value); /* key= with nothing behind it */
    if (value.is_string)
        close_string(line);
    return value.at;
}

void log_line_fields(struct log_line *line, const char *format, va_list args)
{
    struct arguments arguments;
    const char *at = format;

    va_copy(arguments.list, args);
    while (at != NULL && *at != '\0') {
        if (*at == ' ')
            at++;
        else
            at = put_field(line, at, &arguments);
    }
    va_end(arguments.list);
}
