/*
 * recent.h — the names seen lately: of events that are counted, of keys that have an expiry
 *
 * Why:     a client's retry or a second copy of a batch is a duplicate that PostgreSQL refuses by
 *          its primary key. Counting it in Redis is repaired later, from the rollups; a filter of
 *          event ids makes such repairs rare. And Redis need not be told again to let a key expire.
 *          Both are optimisations only: forgetting is allowed, and so is starting empty.
 * Shape:   64-bit fingerprints in a ring (oldest out first) and an open-addressing set of ring
 *          indexes. The fingerprint's seed is random, so that nobody can choose names that collide.
 * Memory:  8 bytes of ring and 8 to 16 of set a name: about 8 MB for 500,000.
 * Threads: one owner thread.
 *
 *   recent_add ... recent_add -> the call succeeded: recent_commit
 *                             -> it did not:         recent_rollback forgets them again
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recent;

/* names_max >= 1. NULL: no memory. */
struct recent *recent_new(size_t names_max, uint64_t seed);
void recent_free(struct recent **recent);

/* False: this name has been seen. */
bool recent_add(struct recent *recent, const void *name, size_t size_bytes);
void recent_commit(struct recent *recent);
/* Forgets what was added since the last commit. */
void recent_rollback(struct recent *recent);
/* Forgets everything: the state that it belonged to is gone. */
void recent_clear(struct recent *recent);
size_t recent_count(const struct recent *recent);
