#include "base/backoff.h"

enum { DOUBLINGS_MAX = 30 }; /* past it the cap rules anyway, so attempts need not count on */

static uint64_t next_random(struct random *random)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The modulo's bias is below 2^-30 for every range that is a wait. */
int64_t random_between(struct random *random, int64_t min, int64_t max)
{
    uint64_t span = (uint64_t)max - (uint64_t)min + 1;
    uint64_t value = next_random(random);

    return (int64_t)((uint64_t)min + (span == 0 ? value : value % span));
}

int64_t backoff_top_ms(int64_t base_ms, int64_t cap_ms, int doublings)
{
    int64_t top_ms = base_ms;

    for (int i = 0; i < doublings && top_ms < cap_ms; i++)
        top_ms *= 2;
    return top_ms < cap_ms ? top_ms : cap_ms;
}

void backoff_init(struct backoff *backoff, int64_t base_ms, int64_t cap_ms, uint64_t seed)
{
    *backoff = (struct backoff){
        .base_ms = base_ms,
        .cap_ms = cap_ms,
        .floor_ms = base_ms / 2,
        .random = {seed},
    };
}

int64_t backoff_next_ms(struct backoff *backoff)
{
    int64_t top_ms = backoff_top_ms(backoff->base_ms, backoff->cap_ms, backoff->attempts);

    if (backoff->attempts < DOUBLINGS_MAX)
        backoff->attempts++;
    return random_between(&backoff->random, backoff->floor_ms < top_ms ? backoff->floor_ms : top_ms,
                          top_ms);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->attempts = 0;
}
