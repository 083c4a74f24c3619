#include "catalogue_snapshot.h"

#include "base/auto.h"
#include "event/event.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOT_EMPTY UINT32_MAX

enum { FIRST_CAPACITY = 16 };

struct catalogue_snapshot {
    atomic_int references;
    bool is_known;
    struct ad *ads; /* sorted by id once sealed; each owns one block: its id starts it */
    size_t count, capacity, ads_max;
    uint32_t *slots; /* open addressing; an index into ads or SLOT_EMPTY */
    size_t slot_mask;
    struct day_salt salts[SNAPSHOT_SALTS_MAX]; /* by day, ascending */
    size_t salt_count;
    uint8_t seed[VISITOR_SALT_SIZE];
    uint64_t version, checksum;
};

struct catalogue_snapshot *snapshot_new(size_t ads_max)
{
    struct catalogue_snapshot *snapshot = calloc(1, sizeof(*snapshot));

    if (snapshot == NULL)
        return NULL;
    atomic_init(&snapshot->references, 1);
    snapshot->ads_max = ads_max < SLOT_EMPTY / 4 ? ads_max : SLOT_EMPTY / 4;
    return snapshot;
}

const struct catalogue_snapshot *catalogue_hold(const struct catalogue_snapshot *held)
{
    /* The count is the one field that changes in a sealed snapshot. */
    union {
        const struct catalogue_snapshot *fixed;
        struct catalogue_snapshot *counted;
    } snapshot = {.fixed = held};

    (void)atomic_fetch_add_explicit(&snapshot.counted->references, 1, memory_order_relaxed);
    return held;
}

void catalogue_drop(const struct catalogue_snapshot **held)
{
    union {
        const struct catalogue_snapshot *fixed;
        struct catalogue_snapshot *counted;
    } snapshot = {.fixed = *held};

    *held = NULL;
    if (snapshot.fixed == NULL ||
        atomic_fetch_sub_explicit(&snapshot.counted->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < snapshot.counted->count; i++) {
        union {
            const char *text;
            void *block;
        } owned = {.text = snapshot.counted->ads[i].id};

        free(owned.block);
    }
    free(snapshot.counted->ads);
    free(snapshot.counted->slots);
    sodium_memzero(snapshot.counted->salts, sizeof(snapshot.counted->salts));
    free(snapshot.counted);
}

void snapshot_free(struct catalogue_snapshot **snapshot)
{
    const struct catalogue_snapshot *held = *snapshot;

    *snapshot = NULL;
    catalogue_drop(&held);
}

static bool reserve(struct catalogue_snapshot *snapshot)
{
    size_t capacity = snapshot->capacity == 0 ? FIRST_CAPACITY : snapshot->capacity * 2;
    struct ad *ads = NULL;

    if (snapshot->count < snapshot->capacity)
        return true;
    ads = realloc(snapshot->ads, capacity * sizeof(*ads));
    if (ads == NULL)
        return false;
    snapshot->ads = ads;
    snapshot->capacity = capacity;
    return true;
}

/* Copies one text behind the others of its ad and moves the end on. */
static const char *place(char **end, const char *text)
{
    size_t size = strlen(text) + 1;
    const char *placed = memcpy(*end, text, size);

    *end += size;
    return placed;
}

bool snapshot_add_ad(struct catalogue_snapshot *snapshot, const struct ad *ad, struct error *err)
{
    char *end = NULL;
    struct ad copy = *ad;

    if (!event_ad_id_is_valid(ad->id, strlen(ad->id)))
        return error_set(err, ERROR_INVALID, "catalogue: an ad's id is not valid");
    if (snapshot->count == snapshot->ads_max)
        return error_set(err, ERROR_LIMIT, "catalogue: more than %zu ads", snapshot->ads_max);
    if (!reserve(snapshot))
        return error_set(err, ERROR_LIMIT, "catalogue: no memory");
    end = malloc(strlen(ad->id) + strlen(ad->title) + strlen(ad->image_url) +
                 strlen(ad->video_url) + strlen(ad->target_url) + 5);
    if (end == NULL)
        return error_set(err, ERROR_LIMIT, "catalogue: no memory");
    copy.id = place(&end, ad->id); /* first: it is the block's address */
    copy.title = place(&end, ad->title);
    copy.image_url = place(&end, ad->image_url);
    copy.video_url = place(&end, ad->video_url);
    copy.target_url = place(&end, ad->target_url);
    snapshot->ads[snapshot->count++] = copy;
    return true;
}

bool snapshot_add_salt(struct catalogue_snapshot *snapshot, const struct day_salt *salt,
                       struct error *err)
{
    size_t at = snapshot->salt_count;

    if (at == SNAPSHOT_SALTS_MAX)
        return error_set(err, ERROR_LIMIT, "catalogue: more than %d salts", SNAPSHOT_SALTS_MAX);
    while (at > 0 && snapshot->salts[at - 1].day > salt->day) {
        snapshot->salts[at] = snapshot->salts[at - 1];
        at--;
    }
    snapshot->salts[at] = *salt;
    snapshot->salt_count++;
    if (at > 0 && snapshot->salts[at - 1].day == salt->day)
        return error_set(err, ERROR_INVALID, "catalogue: a day has two salts");
    return true;
}

void snapshot_set_seed(struct catalogue_snapshot *snapshot, const uint8_t seed[VISITOR_SALT_SIZE])
{
    memcpy(snapshot->seed, seed, VISITOR_SALT_SIZE);
}

static int compare_ads(const void *left, const void *right)
{
    const struct ad *a = left;
    const struct ad *b = right;

    return strcmp(a->id, b->id);
}

static bool fill_slots(struct catalogue_snapshot *snapshot)
{
    size_t slot_count = FIRST_CAPACITY;

    while (slot_count < snapshot->count * 2)
        slot_count *= 2;
    snapshot->slots = malloc(slot_count * sizeof(*snapshot->slots));
    if (snapshot->slots == NULL)
        return false;
    snapshot->slot_mask = slot_count - 1;
    for (size_t i = 0; i < slot_count; i++)
        snapshot->slots[i] = SLOT_EMPTY;
    for (size_t i = 0; i < snapshot->count; i++) {
        const char *id = snapshot->ads[i].id;
        size_t slot = XXH3_64bits(id, strlen(id)) & snapshot->slot_mask;

        while (snapshot->slots[slot] != SLOT_EMPTY)
            slot = (slot + 1) & snapshot->slot_mask;
        snapshot->slots[slot] = (uint32_t)i;
    }
    return true;
}

/* Every text with its NUL, so that no two different catalogues are the same bytes. */
static uint64_t hash_ads(const struct catalogue_snapshot *snapshot)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < snapshot->count; i++) {
        const struct ad *ad = &snapshot->ads[i];
        const char *end = ad->target_url + strlen(ad->target_url) + 1;
        int64_t numbers[3] = {ad->created_at_ms, ad->version, ad->is_archived};

        hash = XXH3_64bits_withSeed(ad->id, (size_t)(end - ad->id), hash);
        hash = XXH3_64bits_withSeed(numbers, sizeof(numbers), hash);
    }
    return hash;
}

bool snapshot_seal(struct catalogue_snapshot *snapshot, bool is_known, struct error *err)
{
    if (snapshot->count > 0)
        qsort(snapshot->ads, snapshot->count, sizeof(*snapshot->ads), compare_ads);
    for (size_t i = 1; i < snapshot->count; i++) {
        if (strcmp(snapshot->ads[i - 1].id, snapshot->ads[i].id) == 0)
            return error_set(err, ERROR_INVALID, "catalogue: an ad is there twice");
    }
    if (!fill_slots(snapshot))
        return error_set(err, ERROR_LIMIT, "catalogue: no memory");
    snapshot->is_known = is_known;
    snapshot->version = hash_ads(snapshot);
    snapshot->checksum = snapshot->version;
    for (size_t i = 0; i < snapshot->salt_count; i++) {
        const struct day_salt *salt = &snapshot->salts[i];

        snapshot->checksum =
            XXH3_64bits_withSeed(&salt->day, sizeof(salt->day), snapshot->checksum);
        snapshot->checksum =
            XXH3_64bits_withSeed(salt->salt, sizeof(salt->salt), snapshot->checksum);
    }
    return true;
}

size_t snapshot_salt_count(const struct catalogue_snapshot *snapshot)
{
    return snapshot->salt_count;
}

const struct day_salt *snapshot_salt_at(const struct catalogue_snapshot *snapshot, size_t index)
{
    assert(index < snapshot->salt_count);
    return &snapshot->salts[index];
}

uint64_t snapshot_checksum(const struct catalogue_snapshot *snapshot)
{
    return snapshot->checksum;
}

bool catalogue_is_known(const struct catalogue_snapshot *snapshot)
{
    return snapshot->is_known;
}

const struct ad *catalogue_find(const struct catalogue_snapshot *snapshot, const char *id,
                                size_t size_bytes)
{
    size_t slot = XXH3_64bits(id, size_bytes) & snapshot->slot_mask;

    while (snapshot->slots[slot] != SLOT_EMPTY) {
        const struct ad *ad = &snapshot->ads[snapshot->slots[slot]];

        if (strlen(ad->id) == size_bytes && memcmp(ad->id, id, size_bytes) == 0)
            return ad;
        slot = (slot + 1) & snapshot->slot_mask;
    }
    return NULL;
}

size_t catalogue_count(const struct catalogue_snapshot *snapshot)
{
    return snapshot->count;
}

const struct ad *catalogue_at(const struct catalogue_snapshot *snapshot, size_t index)
{
    assert(index < snapshot->count);
    return &snapshot->ads[index];
}

size_t catalogue_index(const struct catalogue_snapshot *snapshot, const struct ad *ad)
{
    assert(ad >= snapshot->ads && ad < snapshot->ads + snapshot->count);
    return (size_t)(ad - snapshot->ads);
}

size_t catalogue_after(const struct catalogue_snapshot *snapshot, const char *id)
{
    size_t low = 0;
    size_t high = snapshot->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(snapshot->ads[middle].id, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t catalogue_version(const struct catalogue_snapshot *snapshot)
{
    return snapshot->version;
}

void catalogue_salt(const struct catalogue_snapshot *snapshot, int64_t unix_day,
                    uint8_t out[VISITOR_SALT_SIZE])
{
    const uint8_t *last = snapshot->seed;
    uint8_t day[8];

    for (size_t i = 0; i < snapshot->salt_count; i++) {
        if (snapshot->salts[i].day == unix_day) {
            memcpy(out, snapshot->salts[i].salt, VISITOR_SALT_SIZE);
            return;
        }
        last = snapshot->salts[i].salt;
    }
    for (size_t i = 0; i < sizeof(day); i++)
        day[i] = (uint8_t)((uint64_t)unix_day >> (8 * i));
    (void)crypto_generichash(out, VISITOR_SALT_SIZE, day, sizeof(day), last, VISITOR_SALT_SIZE);
}
