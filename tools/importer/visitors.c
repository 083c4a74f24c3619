#include "visitors.h"

#include "base/auto.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

enum { SALTS_MAX = 64, DAY_MS = 24 * 3600 * 1000 };

struct day_salt {
    int64_t day;
    uint8_t salt[VISITOR_SALT_SIZE];
};

struct visitors {
    uint8_t key[TARGET_KEY_SIZE];
    enum ip_storage storage;
    struct day_salt real[SALTS_MAX];
    size_t real_count;
    struct day_salt latest; /* records come nearly in order: one day is enough to remember */
    bool has_latest;
};

struct visitors *visitors_new(const uint8_t key[TARGET_KEY_SIZE], enum ip_storage storage)
{
    struct visitors *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    memcpy(self->key, key, sizeof(self->key));
    self->storage = storage;
    return self;
}

void visitors_free(struct visitors **visitors)
{
    if (*visitors == NULL)
        return;
    sodium_memzero(*visitors, sizeof(**visitors));
    free(*visitors);
    *visitors = NULL;
}

void visitors_add_salt(void *visitors, int64_t day, const uint8_t salt[VISITOR_SALT_SIZE])
{
    struct visitors *self = visitors;
    struct day_salt *place = &self->real[self->real_count % SALTS_MAX];

    place->day = day;
    memcpy(place->salt, salt, VISITOR_SALT_SIZE);
    if (self->real_count < SALTS_MAX)
        self->real_count++;
}

static const uint8_t *find_salt(struct visitors *self, int64_t day)
{
    for (size_t i = 0; i < self->real_count; i++)
        if (self->real[i].day == day)
            return self->real[i].salt;
    if (!self->has_latest || self->latest.day != day) {
        self->latest.day = day;
        self->has_latest = true;
        (void)crypto_generichash(self->latest.salt, VISITOR_SALT_SIZE, (const uint8_t *)&day,
                                 sizeof(day), self->key, sizeof(self->key));
    }
    return self->latest.salt;
}

void visitors_apply(struct visitors *visitors, struct click *click)
{
    struct event *event = &click->event;

    if (event->ip.size > 0 || click->user_agent.size > 0)
        event->visitor = visitor_hash(find_salt(visitors, event->received_at_ms / DAY_MS),
                                      &event->ip, click->user_agent.text, click->user_agent.size);
    event->ip = ip_for_storage(&event->ip, visitors->storage);
}
