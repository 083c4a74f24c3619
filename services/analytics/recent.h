/*
 * recent.h — the event ids seen lately, so that a duplicate is rarely counted
 *
 * Why:    a client's retry or a second copy of a batch is a duplicate that PostgreSQL refuses by
 *         its primary key. Counting it in Redis is repaired later, from the rollups; this filter
 *         makes such repairs rare. It is an optimisation only: forgetting is allowed, and so is
 *         starting empty.
 * Shape:  64-bit fingerprints in a ring (oldest out first) and an open-addressing set of ring
 *         indexes. The fingerprint's seed is random, so that nobody can choose ids that collide.
 * Memory: 8 bytes of ring and 8 of set an id: about 8 MB for 500,000.
 * Threads: one owner thread.
 *
 *   recent_add ... recent_add -> the apply succeeded: recent_commit
 *                             -> it did not:          recent_rollback forgets them again
 */
#pragma once

#include "event/event.h"

struct recent;

/* ids_max >= 1. NULL: no memory. */
struct recent *recent_new(size_t ids_max, uint64_t seed);
void recent_free(struct recent **recent);

/* False: this id has been seen. */
bool recent_add(struct recent *recent, const uint8_t id[EVENT_ID_SIZE]);
void recent_commit(struct recent *recent);
/* Forgets what was added since the last commit. */
void recent_rollback(struct recent *recent);
/* Forgets everything: the state that it belonged to is gone. */
void recent_clear(struct recent *recent);
size_t recent_count(const struct recent *recent);
