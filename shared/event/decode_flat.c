#include "event/decode_flat.h"

#include "event/decode.h"

enum {
    INTEGER_DIGITS_MAX = 18, /* always fits an int64_t */
    REAL_DIGITS_MAX = 15,    /* always exact in a double, and so is the power of ten */
};

struct scan {
    const char *at;
    const char *end;
};

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static bool take(struct scan *scan, char wanted)
{
    if (scan->at == scan->end || *scan->at != wanted)
        return false;
    scan->at++;
    return true;
}

/* The text between two quotes; the first is taken already. */
static bool take_text(struct scan *scan, const char **out_text, size_t *out_size)
{
    const char *start = scan->at;

    for (; scan->at < scan->end; scan->at++) {
        unsigned char c = (unsigned char)*scan->at;

        if (c == '"') {
            *out_text = start;
            *out_size = (size_t)(scan->at++ - start);
            return true;
        }
        if (c < 0x20 || c >= 0x80 || c == '\\')
            return false;
    }
    return false;
}

/* Appends the digits to value; returns how many there were, or more than max for too many. */
static int take_digits(struct scan *scan, int max, int64_t *value)
{
    int count = 0;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        if (++count > max)
            return count;
        *value = *value * 10 + (*scan->at++ - '0');
    }
    return count;
}

static bool take_fraction(struct scan *scan, bool is_negative, int whole_digits, int64_t digits,
                          struct value *out)
{
    static const double powers[REAL_DIGITS_MAX + 1] = {
        1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int max = REAL_DIGITS_MAX - whole_digits;
    int count = max > 0 ? take_digits(scan, max, &digits) : 0;

    if (count == 0 || count > max)
        return false;
    /* Both sides are exact, so the one rounding is the division's, as strtod would round. */
    out->kind = VALUE_REAL;
    out->real = (double)digits / powers[count];
    if (is_negative)
        out->real = -out->real;
    return true;
}

static bool take_number(struct scan *scan, struct value *out)
{
    bool is_negative = take(scan, '-');
    const char *start = scan->at;
    int64_t digits = 0;
    int count = take_digits(scan, INTEGER_DIGITS_MAX, &digits);

    if (count == 0 || count > INTEGER_DIGITS_MAX || (count > 1 && *start == '0'))
        return false;
    if (take(scan, '.'))
        return take_fraction(scan, is_negative, count, digits, out);
    out->kind = VALUE_INTEGER;
    out->integer = is_negative ? -digits : digits;
    out->real = (double)out->integer;
    return true;
}

static bool take_value(struct scan *scan, struct value *out)
{
    if (!take(scan, '"'))
        return take_number(scan, out);
    out->kind = VALUE_STRING;
    return take_text(scan, &out->text, &out->size);
}

static bool take_pair(struct scan *scan, struct fields *out)
{
    const char *name = NULL;
    size_t size = 0;
    enum spelling spelling = SPELLING_UNKNOWN;

    if (!take(scan, '"') || !take_text(scan, &name, &size))
        return false;
    spelling = spelling_find(name, size);
    if (spelling == SPELLING_UNKNOWN || fields_have(out, spelling))
        return false;
    out->present |= 1U << spelling;
    skip_blanks(scan);
    if (!take(scan, ':'))
        return false;
    skip_blanks(scan);
    return take_value(scan, &out->values[spelling]);
}

bool flat_parse_fields(const char *text, size_t size_bytes, struct fields *out)
{
    struct scan scan = {.at = text, .end = text + size_bytes};

    if (size_bytes > DECODE_EVENT_MAX)
        return false;
    out->present = 0;
    skip_blanks(&scan);
    if (!take(&scan, '{'))
        return false;
    do {
        skip_blanks(&scan);
        if (!take_pair(&scan, out))
            return false;
        skip_blanks(&scan);
    } while (take(&scan, ','));
    if (!take(&scan, '}'))
        return false;
    skip_blanks(&scan);
    return scan.at == scan.end;
}
