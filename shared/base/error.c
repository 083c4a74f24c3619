#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line, safe to log: control bytes become blanks, a cut UTF-8 sequence at the end goes. */
static void tidy(char *text)
{
    size_t size = strlen(text);
    size_t lead = size;

    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    }
    while (lead > 0 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead > 0 && (unsigned char)text[lead - 1] >= 0xc0) {
        unsigned char first = (unsigned char)text[lead - 1];
        size_t due = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

        if (size - (lead - 1) < due)
            size = lead - 1;
    }
    while (size > 0 && text[size - 1] == ' ')
        size--;
    text[size] = '\0';
}

bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
    char text[sizeof(err->text)]; /* the arguments may point into err->text */
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    va_end(args);
    tidy(text);
    err->kind = kind;
    memcpy(err->text, text, sizeof(text));
    return false;
}

bool error_wrap(struct error *err, const char *prefix)
{
    return error_set(err, err->kind, "%s: %s", prefix, err->text);
}

const char *error_kind_name(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return "none";
    case ERROR_INVALID:
        return "invalid";
    case ERROR_LIMIT:
        return "limit";
    case ERROR_UNAVAILABLE:
        return "unavailable";
    case ERROR_UNCERTAIN:
        return "uncertain";
    case ERROR_INTERNAL:
        return "internal";
    }
    return "unknown"; /* only for a value that is no kind at all */
}
