#include "auth_keys.h"

#include "base/auto.h"
#include "base/text.h"

#include <sodium.h>
#include <string.h>

enum {
    SLOTS = 2048, /* a power of two, well above AUTH_KEYS_MAX: look-ups end soon */
    WORDS_MAX = 5,
    HEX_SIZE = 2 * AUTH_HASH_SIZE,
    RATE_MAX = 1000000,
    LONGEST_RATE = 7,
};

struct auth_keys {
    uint8_t secret[crypto_shorthash_KEYBYTES];
    size_t count;
    uint16_t slots[SLOTS]; /* a key's index + 1; 0: empty */
    struct auth_key keys[AUTH_KEYS_MAX];
};

struct word {
    const char *text;
    size_t size;
};

static bool parse_line(struct auth_keys *self, const char *line, size_t size_bytes,
                       struct error *err);
static bool add(struct auth_keys *self, const struct auth_key *key, struct error *err);

static bool parse_lines(struct auth_keys *self, const char *text, size_t size_bytes,
                        struct error *err)
{
    const char *end = text + size_bytes;
    char place[32];

    for (size_t number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline == NULL ? end : newline;

        if (!parse_line(self, text, (size_t)(line_end - text), err)) {
            (void)snprintf(place, sizeof(place), "keys: line %zu", number);
            return error_wrap(err, place);
        }
        text = newline == NULL ? end : newline + 1;
    }
    return true;
}

struct auth_keys *auth_keys_parse(const char *text, size_t size_bytes, struct error *err)
{
    AUTO(auth_keys_free) struct auth_keys *self = calloc(1, sizeof(*self));

    if (self == NULL || sodium_init() < 0) {
        (void)error_set(err, ERROR_LIMIT, "keys: no memory");
        return NULL;
    }
    randombytes_buf(self->secret, sizeof(self->secret));
    if (!parse_lines(self, text, size_bytes, err))
        return NULL;
    return TAKE(self);
}

void auth_keys_free(struct auth_keys **keys)
{
    if (*keys == NULL)
        return;
    sodium_memzero(*keys, sizeof(**keys));
    free(*keys);
    *keys = NULL;
}

size_t auth_keys_count(const struct auth_keys *keys)
{
    return keys->count;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* How many words there are; at most WORDS_MAX + 1, and the first WORDS_MAX are given. */
static size_t split(const char *line, size_t size_bytes, struct word out[WORDS_MAX])
{
    size_t count = 0;
    size_t at = 0;

    while (count <= WORDS_MAX) {
        size_t start;

        while (at < size_bytes && is_blank(line[at]))
            at++;
        if (at == size_bytes || line[at] == '#')
            return count;
        start = at;
        while (at < size_bytes && !is_blank(line[at]))
            at++;
        if (count < WORDS_MAX)
            out[count] = (struct word){line + start, at - start};
        count++;
    }
    return count;
}

static bool parse_name(const struct word *word, char out[AUTH_NAME_MAX + 1])
{
    if (word->size > AUTH_NAME_MAX)
        return false;
    for (size_t i = 0; i < word->size; i++) {
        const char c = word->text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    memcpy(out, word->text, word->size);
    out[word->size] = '\0';
    return true;
}

static bool parse_hash(const struct word *word, uint8_t out[AUTH_HASH_SIZE])
{
    if (word->size != HEX_SIZE)
        return false;
    for (size_t i = 0; i < AUTH_HASH_SIZE; i++) {
        const int high = hex_value(word->text[2 * i]);
        const int low = hex_value(word->text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* "rps=" and decimal digits; a second one of the same name is refused. */
static bool parse_rate(const struct word *word, const char *name, int64_t *out)
{
    const size_t name_size = strlen(name);
    int64_t value = 0;

    if (*out >= 0 || word->size <= name_size || word->size > name_size + LONGEST_RATE ||
        memcmp(word->text, name, name_size) != 0)
        return false;
    for (size_t i = name_size; i < word->size; i++) {
        if (word->text[i] < '0' || word->text[i] > '9')
            return false;
        value = value * 10 + (word->text[i] - '0');
    }
    *out = value;
    return value <= RATE_MAX;
}

static bool parse_words(const struct word *words, size_t count, struct auth_key *out,
                        struct error *err)
{
    if (count < 3 || count > WORDS_MAX)
        return error_set(err, ERROR_INVALID,
                         "expected a name, a role, a SHA-256 and maybe rps= and burst=");
    if (!parse_name(&words[0], out->name))
        return error_set(err, ERROR_INVALID,
                         "the name is not 1 to %d letters, digits, '.', '_', '-'", AUTH_NAME_MAX);
    if (!role_parse(words[1].text, words[1].size, &out->role))
        return error_set(err, ERROR_INVALID, "the role is none of collect, read, server, admin");
    if (!parse_hash(&words[2], out->hash))
        return error_set(err, ERROR_INVALID, "the hash is not 64 hexadecimal digits");
    for (size_t i = 3; i < count; i++) {
        if (!parse_rate(&words[i], "rps=", &out->rps) &&
            !parse_rate(&words[i], "burst=", &out->burst))
            return error_set(err, ERROR_INVALID,
                             "after the hash only rps= and burst=, once each, 0 to %d", RATE_MAX);
    }
    return true;
}

static bool parse_line(struct auth_keys *self, const char *line, size_t size_bytes,
                       struct error *err)
{
    struct auth_key key = {.rps = -1, .burst = -1};
    struct word words[WORDS_MAX];
    size_t count;

    if (size_bytes > AUTH_LINE_MAX)
        return error_set(err, ERROR_INVALID, "is longer than %d bytes", AUTH_LINE_MAX);
    count = split(line, size_bytes, words);
    if (count == 0)
        return true;
    return parse_words(words, count, &key, err) && add(self, &key, err);
}

static size_t slot_of(const struct auth_keys *self, const uint8_t hash[AUTH_HASH_SIZE])
{
    uint8_t tag[crypto_shorthash_BYTES];
    size_t slot = 0;

    (void)crypto_shorthash(tag, hash, AUTH_HASH_SIZE, self->secret);
    memcpy(&slot, tag, sizeof(slot));
    return slot % SLOTS;
}

static bool add(struct auth_keys *self, const struct auth_key *key, struct error *err)
{
    size_t slot = slot_of(self, key->hash);

    if (self->count == AUTH_KEYS_MAX)
        return error_set(err, ERROR_INVALID, "is one key too many: at most %d", AUTH_KEYS_MAX);
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->keys[i].name, key->name) == 0)
            return error_set(err, ERROR_INVALID, "the name was given before");
        if (memcmp(self->keys[i].hash, key->hash, AUTH_HASH_SIZE) == 0)
            return error_set(err, ERROR_INVALID, "the same key was given before");
    }
    while (self->slots[slot] != 0)
        slot = (slot + 1) % SLOTS;
    self->keys[self->count] = *key;
    self->slots[slot] = (uint16_t)++self->count;
    return true;
}

const struct auth_key *auth_keys_find(const struct auth_keys *keys, const char *key,
                                      size_t size_bytes)
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256(hash, (const unsigned char *)key, size_bytes);
    for (size_t slot = slot_of(keys, hash); keys->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        const struct auth_key *found = &keys->keys[keys->slots[slot] - 1];

        if (sodium_memcmp(found->hash, hash, AUTH_HASH_SIZE) == 0)
            return found;
    }
    return NULL;
}
