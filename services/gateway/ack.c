#include "ack.h"

#include <string.h>

enum {
    ACK_BYTES_MAX = 4096, /* a real ack has some 40 to 300 bytes */
    ACK_DEPTH_MAX = 4,
};

/* The server's codes for "full" and "too large". */
enum {
    CODE_MEMORY_EXCEEDED = 10028,
    CODE_STORAGE_EXCEEDED = 10047,
    CODE_STREAM_LIMITS = 10053,
    CODE_MESSAGE_TOO_LARGE = 10054,
    CODE_STREAM_STORE_FAILED = 10077, /* "maximum bytes exceeded" */
};

struct cursor {
    const char *at, *end;
};

struct view {
    const char *bytes;
    size_t size_bytes;
};

/* What the members of interest said. */
struct members {
    struct view stream;
    uint64_t seq;
    uint32_t error_code;
    bool has_seq, has_error, is_duplicate;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct cursor *in)
{
    while (in->at < in->end && is_blank(*in->at))
        in->at++;
}

static bool take(struct cursor *in, char expected)
{
    skip_blanks(in);
    if (in->at == in->end || *in->at != expected)
        return false;
    in->at++;
    return true;
}

static bool take_word(struct cursor *in, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(in->end - in->at) < size || memcmp(in->at, word, size) != 0)
        return false;
    in->at += size;
    return true;
}

/* The text between the quotes, as it stands: escapes are stepped over, not resolved. */
static bool take_string(struct cursor *in, struct view *out)
{
    if (!take(in, '"'))
        return false;
    out->bytes = in->at;
    for (; in->at < in->end; in->at++) {
        if (*in->at == '"') {
            out->size_bytes = (size_t)(in->at++ - out->bytes);
            return true;
        }
        if ((unsigned char)*in->at < 0x20)
            return false;
        if (*in->at == '\\' && ++in->at == in->end)
            return false;
    }
    return false;
}

/* Digits alone: a sign, a fraction or an exponent is no sequence. */
static bool take_number(struct cursor *in, uint64_t *out)
{
    const char *first;
    uint64_t number = 0;

    skip_blanks(in);
    first = in->at;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
        if (__builtin_mul_overflow(number, 10U, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*in->at - '0'), &number))
            return false;
    }
    if (in->at == first || (*first == '0' && in->at - first > 1))
        return false;
    *out = number;
    return true;
}

static bool take_bool(struct cursor *in, bool *out)
{
    skip_blanks(in);
    *out = in->at < in->end && *in->at == 't';
    return take_word(in, *out ? "true" : "false");
}

static bool is_name(struct view name, const char *expected)
{
    return name.size_bytes == strlen(expected) &&
           memcmp(name.bytes, expected, name.size_bytes) == 0;
}

typedef bool (*member_fn)(struct cursor *in, struct view name, int depth, struct members *out);

static bool take_object(struct cursor *in, member_fn member, int depth, struct members *out)
{
    struct view name;

    if (depth > ACK_DEPTH_MAX || !take(in, '{'))
        return false;
    if (take(in, '}'))
        return true;
    do {
        if (!take_string(in, &name) || !take(in, ':') || !member(in, name, depth, out))
            return false;
    } while (take(in, ','));
    return take(in, '}');
}

/* A value of no interest; the servers send none but these kinds. */
static bool skip_member(struct cursor *in, struct view name, int depth, struct members *out)
{
    struct view text;
    uint64_t number;
    bool flag;

    (void)name;
    skip_blanks(in);
    if (in->at == in->end)
        return false;
    if (*in->at == '"')
        return take_string(in, &text);
    if (*in->at == '{') /* NOLINTNEXTLINE(misc-no-recursion): ACK_DEPTH_MAX bounds it */
        return take_object(in, skip_member, depth + 1, out);
    if (*in->at == 't' || *in->at == 'f')
        return take_bool(in, &flag);
    return take_number(in, &number);
}

static bool take_error_member(struct cursor *in, struct view name, int depth, struct members *out)
{
    uint64_t code;

    if (!is_name(name, "err_code"))
        return skip_member(in, name, depth, out);
    if (!take_number(in, &code) || code > UINT32_MAX)
        return false;
    out->error_code = (uint32_t)code;
    return true;
}

static bool take_ack_member(struct cursor *in, struct view name, int depth, struct members *out)
{
    if (is_name(name, "stream"))
        return out->stream.bytes == NULL && take_string(in, &out->stream);
    if (is_name(name, "seq")) {
        if (out->has_seq)
            return false;
        out->has_seq = true;
        return take_number(in, &out->seq);
    }
    if (is_name(name, "duplicate"))
        return take_bool(in, &out->is_duplicate);
    if (is_name(name, "error")) {
        out->has_error = true;
        return take_object(in, take_error_member, depth + 1, out);
    }
    return skip_member(in, name, depth, out);
}

struct ack ack_parse(const char *bytes, size_t size_bytes, const char *stream)
{
    struct cursor in = {bytes, bytes + size_bytes};
    struct members members = {0};
    struct ack ack = {.verdict = ACK_GARBLED};

    if (size_bytes > ACK_BYTES_MAX || !take_object(&in, take_ack_member, 0, &members))
        return ack;
    skip_blanks(&in);
    if (in.at != in.end)
        return ack;

    ack.error_code = members.error_code;
    ack.is_duplicate = members.is_duplicate;
    if (members.has_error) {
        ack.verdict = ACK_REFUSED;
    } else if (members.stream.bytes != NULL && is_name(members.stream, stream) && members.has_seq) {
        ack.seq = members.seq;
        ack.verdict = members.seq > 0 ? ACK_STORED : ACK_REFUSED;
    }
    return ack;
}

bool ack_is_final(uint32_t error_code)
{
    switch (error_code) {
    case CODE_MEMORY_EXCEEDED:
    case CODE_STORAGE_EXCEEDED:
    case CODE_STREAM_LIMITS:
    case CODE_MESSAGE_TOO_LARGE:
    case CODE_STREAM_STORE_FAILED:
        return true;
    default:
        return false;
    }
}
