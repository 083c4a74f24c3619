/*
 * visitors.h — who clicked, for days long gone
 *
 * Why:    a visitor is a hash under the day's salt, and salts of past days are deleted. A day that
 *         live traffic may still carry takes its real salt, so that a person is one visitor on both
 *         sides of the switch; an older day takes one derived from the import's own key, the same
 *         in every run until the key is forgotten.
 * Threads: one owner thread.
 */
#pragma once

#include "record.h"
#include "target.h"

struct visitors;

struct visitors *visitors_new(const uint8_t key[TARGET_KEY_SIZE], enum ip_storage storage);
void visitors_free(struct visitors **visitors);
/* target_salt_fn: the real salt of a day. */
void visitors_add_salt(void *visitors, int64_t day, const uint8_t salt[VISITOR_SALT_SIZE]);

/* Sets the event's visitor from the whole address, and keeps of the address what may be stored. */
void visitors_apply(struct visitors *visitors, struct click *click);
