#include "credentials.h"

#include <string.h>
#include <strings.h>

static const char scheme[] = "Bearer";
enum { SCHEME_SIZE = sizeof(scheme) - 1 };

static bool is_token_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~+/", c) != NULL);
}

/* One or more characters, then "=" only. */
static bool is_token(const char *text, size_t size_bytes)
{
    size_t i = 0;

    if (size_bytes > CREDENTIALS_MAX)
        return false;
    while (i < size_bytes && is_token_character(text[i]))
        i++;
    if (i == 0)
        return false;
    while (i < size_bytes && text[i] == '=')
        i++;
    return i == size_bytes;
}

void credentials_add_key(struct credentials *self, const char *value, size_t size_bytes)
{
    /* The caller compares what it has sent itself: nothing is learned from the time it takes. */
    const bool is_other = self->text != NULL &&
                          (self->size != size_bytes || memcmp(self->text, value, size_bytes) != 0);

    if (is_other || !is_token(value, size_bytes))
        self->is_malformed = true;
    self->text = value;
    self->size = size_bytes;
}

void credentials_add_authorization(struct credentials *self, const char *value, size_t size_bytes)
{
    size_t at = SCHEME_SIZE;

    if (size_bytes <= SCHEME_SIZE || strncasecmp(value, scheme, SCHEME_SIZE) != 0 ||
        value[SCHEME_SIZE] != ' ') {
        self->text = value;
        self->size = size_bytes;
        self->is_malformed = true;
        return;
    }
    while (at < size_bytes && value[at] == ' ')
        at++;
    credentials_add_key(self, value + at, size_bytes - at);
}
