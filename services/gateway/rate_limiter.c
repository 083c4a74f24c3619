#include "rate_limiter.h"

#include "base/auto.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

struct place {
    _Atomic uint64_t owner;     /* a caller's hash; 0: nobody's yet */
    _Atomic int64_t full_at_ns; /* monotonic; in the past: full */
};

struct rate_limiter {
    uint8_t secret[crypto_shorthash_KEYBYTES];
    size_t set_count;
    _Atomic size_t used;
    struct place *places; /* owned; set_count * RATE_WAYS */
};

struct rate_limiter *rate_limiter_new(size_t places_max, struct error *err)
{
    AUTO(rate_limiter_free) struct rate_limiter *self = calloc(1, sizeof(*self));

    if (self != NULL) {
        self->set_count = (places_max + RATE_WAYS - 1) / RATE_WAYS;
        self->places = calloc(self->set_count * RATE_WAYS, sizeof(*self->places));
    }
    if (self == NULL || self->places == NULL || sodium_init() < 0) {
        (void)error_set(err, ERROR_LIMIT, "rate limits: no memory");
        return NULL;
    }
    randombytes_buf(self->secret, sizeof(self->secret));
    return TAKE(self);
}

void rate_limiter_free(struct rate_limiter **limiter)
{
    if (*limiter == NULL)
        return;
    free((*limiter)->places);
    free(*limiter);
    *limiter = NULL;
}

size_t rate_limiter_places(const struct rate_limiter *limiter)
{
    return limiter->set_count * RATE_WAYS;
}

size_t rate_limiter_places_used(const struct rate_limiter *limiter)
{
    return atomic_load_explicit(&limiter->used, memory_order_relaxed);
}

uint64_t rate_limiter_hash(const struct rate_limiter *limiter, const void *id, size_t size_bytes)
{
    uint8_t bytes[crypto_shorthash_BYTES];
    uint64_t hash = 0;

    (void)crypto_shorthash(bytes, id, size_bytes, limiter->secret);
    memcpy(&hash, bytes, sizeof(hash));
    return hash == 0 ? 1 : hash; /* 0 is nobody */
}

static int64_t load(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* The caller's own place, else the one to take: nobody's, else the fullest. */
static struct place *choose(struct rate_limiter *self, uint64_t hash)
{
    struct place *set = &self->places[hash % self->set_count * RATE_WAYS];
    struct place *fullest = set;

    for (size_t i = 0; i < RATE_WAYS; i++) {
        const uint64_t owner = atomic_load_explicit(&set[i].owner, memory_order_relaxed);

        if (owner == hash || owner == 0)
            return &set[i]; /* places are taken from the left, so nobody stands behind a free one */
        if (load(&set[i].full_at_ns) < load(&fullest->full_at_ns))
            fullest = &set[i];
    }
    return fullest;
}

static struct place *find(struct rate_limiter *self, uint64_t hash, int64_t now_ns,
                          bool *out_has_evicted)
{
    struct place *place = choose(self, hash);
    uint64_t owner = atomic_load_explicit(&place->owner, memory_order_relaxed);

    *out_has_evicted = false;
    if (owner == hash)
        return place;
    if (!atomic_compare_exchange_strong_explicit(&place->owner, &owner, hash, memory_order_relaxed,
                                                 memory_order_relaxed))
        return place; /* another loop was faster: this once its bucket is used */
    if (owner == 0)
        (void)atomic_fetch_add_explicit(&self->used, 1, memory_order_relaxed);
    else
        *out_has_evicted = load(&place->full_at_ns) > now_ns;
    return place;
}

static int64_t interval_ns(const struct rate *rate)
{
    return NS_PER_S / rate->rps;
}

static int64_t depth_ns(const struct rate *rate)
{
    return interval_ns(rate) * (rate->burst > 0 ? rate->burst : rate->rps);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static struct rate_verdict judge(const struct rate *rate, bool is_allowed, int64_t owed_ns)
{
    const int64_t interval = interval_ns(rate);
    const int64_t left_ns = depth_ns(rate) - owed_ns;
    struct rate_verdict verdict = {.is_allowed = is_allowed};

    verdict.remaining = left_ns > 0 ? left_ns / interval : 0;
    verdict.full_ms = (owed_ns + NS_PER_MS - 1) / NS_PER_MS;
    if (!is_allowed)
        verdict.wait_ms = (interval - left_ns + NS_PER_MS - 1) / NS_PER_MS;
    return verdict;
}

struct rate_verdict rate_limiter_take(struct rate_limiter *limiter, uint64_t hash,
                                      const struct rate *rate, int64_t now_ms)
{
    const int64_t now_ns = now_ms * NS_PER_MS;
    struct rate_verdict verdict = {.is_allowed = true};
    bool has_evicted = false;
    struct place *place;
    int64_t before;
    int64_t after;

    if (rate->rps == 0)
        return verdict;
    place = find(limiter, hash, now_ns, &has_evicted);
    before = load(&place->full_at_ns);
    do {
        after = later(before, now_ns) + interval_ns(rate);
        if (after - now_ns > depth_ns(rate)) {
            verdict = judge(rate, false, later(before, now_ns) - now_ns);
            verdict.has_evicted = has_evicted;
            return verdict;
        }
    } while (!atomic_compare_exchange_weak_explicit(&place->full_at_ns, &before, after,
                                                    memory_order_relaxed, memory_order_relaxed));
    verdict = judge(rate, true, after - now_ns);
    verdict.has_evicted = has_evicted;
    return verdict;
}

void rate_limiter_charge(struct rate_limiter *limiter, uint64_t hash, const struct rate *rate,
                         int64_t tokens, int64_t now_ms)
{
    const int64_t now_ns = now_ms * NS_PER_MS;
    bool has_evicted = false;
    struct place *place;
    int64_t before;

    if (rate->rps == 0 || tokens <= 0)
        return;
    place = find(limiter, hash, now_ns, &has_evicted);
    before = load(&place->full_at_ns);
    while (!atomic_compare_exchange_weak_explicit(
        &place->full_at_ns, &before, later(before, now_ns) + tokens * interval_ns(rate),
        memory_order_relaxed, memory_order_relaxed))
        continue;
}
