#include "clients/ack_subject.h"

#include <string.h>

enum { SHORT_TOKENS = 9, LONG_TOKENS_MIN = 11, TOKENS_MAX = 12 };
enum { NS_PER_MS = 1000000 };

/* Tokens by their place in the short form. */
enum { CONSUMER = 3, STREAM_SEQ = 5, CONSUMER_SEQ = 6, AT_NS = 7, PENDING = 8 };

struct token {
    const char *text;
    size_t size;
};

/* The number of tokens; 0: too many. */
static size_t split(const char *text, struct token tokens[TOKENS_MAX])
{
    size_t count = 0;

    for (;;) {
        size_t size = strcspn(text, ".");

        if (count == TOKENS_MAX)
            return 0;
        tokens[count++] = (struct token){text, size};
        if (text[size] == '\0')
            return count;
        text += size + 1;
    }
}

static bool read_number(const struct token *token, uint64_t *out)
{
    uint64_t value = 0;

    if (token->size == 0)
        return false;
    for (size_t i = 0; i < token->size; i++) {
        uint64_t digit = (uint64_t)(unsigned char)token->text[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool ack_subject_parse(const char *text, struct ack_subject *out)
{
    static const char prefix[] = "$JS.ACK.";
    struct token tokens[TOKENS_MAX];
    const struct token *token = tokens;
    struct ack_subject parsed;
    uint64_t at_ns;
    size_t count;

    if (text == NULL || strncmp(text, prefix, sizeof(prefix) - 1) != 0)
        return false;
    count = split(text, tokens);
    if (count != SHORT_TOKENS && count < LONG_TOKENS_MIN)
        return false;
    if (count >= LONG_TOKENS_MIN)
        token += 2; /* domain and account stand before the stream */
    if (!read_number(&token[STREAM_SEQ], &parsed.stream_seq) ||
        !read_number(&token[CONSUMER_SEQ], &parsed.consumer_seq) ||
        !read_number(&token[AT_NS], &at_ns) || !read_number(&token[PENDING], &parsed.pending))
        return false;
    parsed.consumer = token[CONSUMER].text;
    parsed.consumer_size = token[CONSUMER].size;
    parsed.at_ms = (int64_t)(at_ns / NS_PER_MS);
    *out = parsed;
    return true;
}
