#include "letter.h"

#include "base/auto.h"

#include <string.h>

enum { DIGITS_MAX = 18 };

size_t letter_header(const struct letter_lane *lane, uint64_t number, int64_t at_ms, uint8_t *out)
{
    struct codec_header header = {
        .partition = lane->partition,
        .batch_no = number,
        .sent_at_ms = at_ms,
        .settled_below = 1,
        .abandoned = {.count = 1, .rows = {{.first = 1, .last = lane->count}}},
    };

    header.abandoned.rows[0].events = lane->count;
    memcpy(header.gateway_id, lane->gateway_id, sizeof(header.gateway_id));
    return codec_append_header(out, &header);
}

bool letter_read(const uint8_t *bytes, size_t size_bytes, codec_each_fn each, void *ctx,
                 struct error *err)
{
    static const struct letter_lane lane = {.gateway_id = {1}, .count = 1};
    AUTO(auto_free) uint8_t *batch = malloc(CODEC_HEADER_MAX + size_bytes);
    struct codec_header header;
    size_t header_size = 0;

    if (batch == NULL)
        return error_set(err, ERROR_LIMIT, "letter: no memory for %zu bytes", size_bytes);
    header_size = letter_header(&lane, 1, 0, batch);
    memcpy(batch + header_size, bytes, size_bytes);
    return codec_read_batch(batch, header_size + size_bytes, &header, each, ctx, err);
}

bool letter_code_is_valid(const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        char c = text[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!is_letter && (c < '0' || c > '9') && c != '_')
            return false;
    }
    return size_bytes > 0 && size_bytes < LETTER_CODE_SIZE;
}

bool letter_id_parse(const char *text, size_t size_bytes, int64_t *out_id)
{
    int64_t id = 0;

    if (size_bytes == 0 || size_bytes > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        id = id * 10 + (text[i] - '0');
    }
    *out_id = id;
    return id > 0;
}
