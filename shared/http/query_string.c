#include "http/query_string.h"

#include "base/text.h"
#include "base/time_text.h"
#include <assert.h>
#include <string.h>

enum { QUERY_NAME_MAX = 64 }; /* encoded; ours are much shorter */

struct piece {
    const char *bytes;
    size_t size;
};

static bool take(struct query_string *self, size_t *used, struct piece name, struct piece value,
                 struct faults *faults);

/* Cuts text at the first separator; the rest is empty when there is none. */
static struct piece cut(struct piece *text, char separator)
{
    const char *at = text->size == 0 ? NULL : memchr(text->bytes, separator, text->size);
    struct piece head = *text;

    if (at == NULL) {
        text->bytes += text->size;
        text->size = 0;
        return head;
    }
    head.size = (size_t)(at - head.bytes);
    text->bytes += head.size + 1;
    text->size -= head.size + 1;
    return head;
}

bool query_string_parse(struct query_string *self, const char *const *names, const char *text,
                        size_t size_bytes, struct faults *faults)
{
    struct piece rest = {text, size_bytes};
    size_t used = 0;
    bool is_good = true;

    self->names = names;
    memset(self->values, 0, sizeof(self->values));
    memset(self->sizes, 0, sizeof(self->sizes));
    while (rest.size > 0) {
        struct piece value = cut(&rest, '&');
        struct piece name = cut(&value, '=');

        if (name.size > 0 && !take(self, &used, name, value, faults))
            is_good = false;
    }
    return is_good;
}

bool query_string_decode(const char *text, size_t size_bytes, char *out, size_t *out_size_bytes)
{
    size_t size = 0;

    for (size_t i = 0; i < size_bytes; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < size_bytes ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < size_bytes ? hex_value(text[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return false;
        out[size++] = c;
    }
    *out_size_bytes = size;
    return true;
}

/* The index of the NULL at the end when it is none of ours. */
static size_t find_index(const struct query_string *self, struct piece name)
{
    size_t i = 0;

    for (; self->names[i] != NULL; i++) {
        if (strlen(self->names[i]) == name.size &&
            memcmp(self->names[i], name.bytes, name.size) == 0)
            break;
    }
    assert(i <= QUERY_NAMES_MAX);
    return i;
}

static bool store(struct query_string *self, size_t index, size_t *used, struct piece value)
{
    char *out = self->storage + *used;

    memcpy(out, value.bytes, value.size);
    for (size_t i = 0; i < value.size; i++) {
        if (out[i] == '+')
            out[i] = ' ';
    }
    if (!query_string_decode(out, value.size, out, &self->sizes[index]))
        return false;
    out[self->sizes[index]] = '\0';
    self->values[index] = out;
    *used += self->sizes[index] + 1;
    return true;
}

static bool take(struct query_string *self, size_t *used, struct piece name, struct piece value,
                 struct faults *faults)
{
    char plain[QUERY_NAME_MAX];
    size_t index;
    const char *known;

    /* A name that is longer than any of ours, or broken, is none of ours. */
    if (name.size > sizeof(plain) || !query_string_decode(name.bytes, name.size, plain, &name.size))
        return true;
    name.bytes = plain;
    index = find_index(self, name);
    known = self->names[index];
    if (known == NULL)
        return true;
    if (self->values[index] != NULL) {
        fault_add(faults, FAULT_INVALID_PARAMETER, known, "is given twice");
        return false;
    }
    if (value.size + 1 > sizeof(self->storage) - *used) {
        fault_add(faults, FAULT_INVALID_PARAMETER, known, "is too long");
        return false;
    }
    if (!store(self, index, used, value)) {
        fault_add(faults, FAULT_INVALID_PARAMETER, known, "is not well percent-encoded");
        return false;
    }
    return true;
}

const char *query_string_find(const struct query_string *self, const char *name)
{
    const size_t index = find_index(self, (struct piece){name, strlen(name)});

    assert(self->names[index] != NULL);
    return self->values[index];
}

/* At most 18 digits, so that no sum overflows. */
static bool parse_int(const char *text, int64_t *out_value)
{
    const bool is_negative = text[0] == '-';
    const char *digits = text + (is_negative ? 1 : 0);
    int64_t value = 0;
    size_t count = 0;

    for (; digits[count] >= '0' && digits[count] <= '9' && count < 18; count++)
        value = value * 10 + (digits[count] - '0');
    if (count == 0 || digits[count] != '\0')
        return false;
    *out_value = is_negative ? -value : value;
    return true;
}

bool query_string_int(const struct query_string *self, const char *name, int64_t min, int64_t max,
                      int64_t *out_value, struct faults *faults)
{
    const char *text = query_string_find(self, name);
    int64_t value = 0;

    if (text == NULL)
        return true;
    if (!parse_int(text, &value) || value < min || value > max) {
        fault_add(faults, FAULT_INVALID_PARAMETER, name, "must be a whole number from %lld to %lld",
                  (long long)min, (long long)max);
        return false;
    }
    *out_value = value;
    return true;
}

bool query_string_instant(const struct query_string *self, const char *name, int64_t *out_at_ms,
                          struct faults *faults)
{
    const char *text = query_string_find(self, name);
    int64_t at_ms = 0;

    if (text == NULL)
        return true;
    if (!time_text_parse(text, strlen(text), &at_ms) || at_ms < 0 || at_ms > EVENT_AT_MS_MAX) {
        fault_add(faults, FAULT_INVALID_PARAMETER, name,
                  "must be an RFC 3339 instant with its offset (in an address, + is %%2B)");
        return false;
    }
    *out_at_ms = at_ms;
    return true;
}
