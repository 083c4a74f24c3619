#include "identity.h"

#include "base/auto.h"
#include "event/event_id.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SLOTS_FIRST = 1024, DAY_MS = 24 * 3600 * 1000 };

struct ordinal_slot {
    XXH128_hash_t hash;
    uint64_t seen; /* 0: free */
};

struct ordinals {
    struct ordinal_slot *slots; /* a power of two, at most half full */
    size_t mask, count;
};

struct ordinals *ordinals_new(void)
{
    AUTO(ordinals_free) struct ordinals *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->slots = calloc(SLOTS_FIRST, sizeof(*self->slots));
    if (self->slots == NULL)
        return NULL;
    self->mask = SLOTS_FIRST - 1;
    return TAKE(self);
}

void ordinals_free(struct ordinals **ordinals)
{
    if (*ordinals == NULL)
        return;
    free((*ordinals)->slots);
    free(*ordinals);
    *ordinals = NULL;
}

void ordinals_reset(struct ordinals *ordinals)
{
    memset(ordinals->slots, 0, (ordinals->mask + 1) * sizeof(*ordinals->slots));
    ordinals->count = 0;
}

static struct ordinal_slot *find(struct ordinal_slot *slots, size_t mask, XXH128_hash_t hash)
{
    size_t i = (size_t)hash.low64 & mask;

    while (slots[i].seen != 0 && !XXH128_isEqual(slots[i].hash, hash))
        i = (i + 1) & mask;
    return &slots[i];
}

static bool grow(struct ordinals *self)
{
    size_t mask = 2 * self->mask + 1;
    struct ordinal_slot *slots = NULL;

    if (self->count >= ORDINALS_MAX)
        return false;
    slots = calloc(mask + 1, sizeof(*slots));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i <= self->mask; i++)
        if (self->slots[i].seen != 0)
            *find(slots, mask, self->slots[i].hash) = self->slots[i];
    free(self->slots);
    self->slots = slots;
    self->mask = mask;
    return true;
}

/* How many identical records came before this one. */
static bool count_ordinal(struct ordinals *self, XXH128_hash_t hash, uint64_t *out_ordinal)
{
    struct ordinal_slot *slot = NULL;

    if (2 * self->count > self->mask && !grow(self))
        return false;
    slot = find(self->slots, self->mask, hash);
    if (slot->seen == 0) {
        slot->hash = hash;
        self->count++;
    }
    *out_ordinal = slot->seen++;
    return true;
}

static void store(XXH128_hash_t hash, uint8_t out[EVENT_ID_SIZE])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(out, canonical.digest, EVENT_ID_SIZE);
}

/* Sizes stand between the parts, so that no two different records spell the same bytes. */
static void add(XXH3_state_t *state, const void *bytes, size_t size)
{
    uint64_t length = size;

    (void)XXH3_128bits_update(state, &length, sizeof(length));
    if (size > 0)
        (void)XXH3_128bits_update(state, bytes, size);
}

static XXH128_hash_t hash_fields(const struct click *click)
{
    const struct event *event = &click->event;
    XXH3_state_t state;

    (void)XXH3_128bits_reset(&state);
    add(&state, "fields", 6);
    add(&state, event->ad_id, event->ad_id_size);
    add(&state, &event->event_at_ms, sizeof(event->event_at_ms));
    add(&state, event->ip.bytes, event->ip.size);
    add(&state, &event->playback_ms, sizeof(event->playback_ms));
    add(&state, click->user_agent.text, click->user_agent.size);
    return XXH3_128bits_digest(&state);
}

static XXH128_hash_t hash_key(const struct click *click)
{
    XXH3_state_t state;

    (void)XXH3_128bits_reset(&state);
    add(&state, "key", 3);
    add(&state, click->event.ad_id, click->event.ad_id_size);
    add(&state, click->source_id.text, click->source_id.size);
    return XXH3_128bits_digest(&state);
}

static bool is_absent(const struct record_value *id)
{
    static const char nil[] = "00000000-0000-0000-0000-000000000000";

    return id->text == NULL || id->size == 0 || (id->size == 1 && id->text[0] == '0') ||
           (id->size == sizeof(nil) - 1 && memcmp(id->text, nil, id->size) == 0);
}

/* An id whose own time is far from the click's would be filed on a day of its own. */
static bool carries_time(const uint8_t id[EVENT_ID_SIZE], int64_t at_ms)
{
    int version = event_id_version(id);
    int64_t apart_ms = event_id_at_ms(id) - at_ms;

    return (version == 7 || version == 8) && apart_ms <= DAY_MS && apart_ms >= -DAY_MS;
}

static bool hash_by_fields(struct ordinals *ordinals, const struct click *click,
                           uint8_t out[EVENT_ID_SIZE], struct error *err)
{
    XXH128_hash_t hash = hash_fields(click);
    uint64_t ordinal = 0;

    if (!count_ordinal(ordinals, hash, &ordinal))
        return error_set(err, ERROR_LIMIT, "no room for more than %d records without an id",
                         ORDINALS_MAX);
    hash = XXH3_128bits_withSeed(&hash, sizeof(hash), ordinal);
    store(hash, out);
    return true;
}

bool identity_give(struct ordinals *ordinals, struct click *click, struct error *err)
{
    struct event *event = &click->event;
    uint8_t foreign[EVENT_ID_SIZE];

    if (is_absent(&click->source_id)) {
        if (!hash_by_fields(ordinals, click, foreign, err))
            return false;
    } else if (!event_id_parse(click->source_id.text, click->source_id.size, foreign)) {
        store(hash_key(click), foreign);
    } else if (carries_time(foreign, event->event_at_ms)) {
        memcpy(event->id, foreign, sizeof(foreign));
        return true;
    }
    event_id_from_foreign(foreign, event->event_at_ms, event->id);
    return true;
}
