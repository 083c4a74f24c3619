#include "event/event_id.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

#include <sodium.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    TIME_BYTES = 6, /* the milliseconds at the head of versions 7 and 8 */
    RANDOM_BYTES = EVENT_ID_SIZE - TIME_BYTES, /* what fills the rest of an id */
    POOL_BYTES = 256 * RANDOM_BYTES,           /* one system call pays for this many ids */
};

/* Writes the time, the version and the RFC 9562 variant over what is there. */
static void stamp(uint8_t id[EVENT_ID_SIZE], int64_t at_ms, unsigned version)
{
    assert(at_ms >= 0 && at_ms >> 48 == 0);
    for (int i = 0; i < TIME_BYTES; i++)
        id[i] = (uint8_t)(at_ms >> (8 * (TIME_BYTES - 1 - i)));
    id[6] = (uint8_t)((id[6] & 0x0f) | version << 4);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void event_id_make(int64_t at_ms, uint8_t out[EVENT_ID_SIZE])
{
    static _Thread_local uint8_t pool[POOL_BYTES];
    static _Thread_local size_t unused;

    if (unused == 0) {
        int ready = sodium_init(); /* once a process: threads may ask for the first bytes at once */

        assert(ready >= 0);
        randombytes_buf(pool, sizeof(pool));
        unused = sizeof(pool);
    }
    unused -= RANDOM_BYTES;
    memcpy(out + TIME_BYTES, pool + unused, RANDOM_BYTES);
    stamp(out, at_ms, 7);
}

/* A hyphen stands before the bytes 4, 6, 8 and 10. */
static bool is_hyphen_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

bool event_id_parse(const char *text, size_t size_bytes, uint8_t out[EVENT_ID_SIZE])
{
    uint8_t id[EVENT_ID_SIZE];
    const char *at = text;

    if (size_bytes != EVENT_ID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < EVENT_ID_SIZE; i++) {
        if (is_hyphen_before(i) && *at++ != '-')
            return false;
        int high = hex_value(at[0]);
        int low = hex_value(at[1]);
        if (high < 0 || low < 0)
            return false;
        id[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    memcpy(out, id, sizeof(id));
    return true;
}

void event_id_format(const uint8_t id[EVENT_ID_SIZE], char out[EVENT_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;

    for (size_t i = 0; i < EVENT_ID_SIZE; i++) {
        if (is_hyphen_before(i))
            *at++ = '-';
        *at++ = digits[id[i] >> 4];
        *at++ = digits[id[i] & 0x0f];
    }
    *at = '\0';
}

int event_id_version(const uint8_t id[EVENT_ID_SIZE])
{
    return (id[8] & 0xc0) == 0x80 ? id[6] >> 4 : 0;
}

int64_t event_id_at_ms(const uint8_t id[EVENT_ID_SIZE])
{
    int64_t at_ms = 0;

    for (int i = 0; i < TIME_BYTES; i++)
        at_ms = at_ms << 8 | id[i];
    return at_ms;
}

void event_id_from_foreign(const uint8_t foreign[EVENT_ID_SIZE], int64_t at_ms,
                           uint8_t out[EVENT_ID_SIZE])
{
    XXH128_canonical_t hash;

    XXH128_canonicalFromHash(&hash, XXH3_128bits(foreign, EVENT_ID_SIZE));
    memcpy(out + TIME_BYTES, hash.digest, RANDOM_BYTES);
    stamp(out, at_ms, 8);
}
