#include "clients/percent.h"

#include <ctype.h>
#include <string.h>

static const char hex_digits[] = "0123456789ABCDEF";

static bool is_plain(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("-._~", c) != NULL);
}

bool percent_encode(const char *text, char *out, size_t out_size)
{
    size_t used = 0;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        size_t size = is_plain(*text) ? 1 : 3;

        if (used + size >= out_size)
            return false;
        if (size == 1) {
            out[used] = *text;
        } else {
            out[used] = '%';
            out[used + 1] = hex_digits[byte >> 4];
            out[used + 2] = hex_digits[byte & 15];
        }
        used += size;
    }
    if (used >= out_size)
        return false;
    out[used] = '\0';
    return true;
}

/* -1: not a hex digit. */
static int hex_value(char c)
{
    const char *found = c == '\0' ? NULL : strchr(hex_digits, toupper((unsigned char)c));

    return found == NULL ? -1 : (int)(found - hex_digits);
}

bool percent_decode(const char *text, size_t size_bytes, char *out, size_t out_size)
{
    size_t used = 0;

    for (size_t i = 0; i < size_bytes; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < size_bytes ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < size_bytes ? hex_value(text[i + 2]) : -1;

            if (high < 0 || low < 0 || high + low == 0)
                return false;
            c = (char)(unsigned char)(high * 16 + low);
            i += 2;
        }
        if (used + 1 >= out_size)
            return false;
        out[used++] = c;
    }
    if (used >= out_size)
        return false;
    out[used] = '\0';
    return true;
}
