/*
 * catalogue_snapshot.h — building one snapshot of the catalogue
 *
 * Shape:  new, add everything, seal. Sealing sorts the ads, makes the hash table and the version;
 *         from then on nothing changes and any thread may read. What is read from a snapshot is
 *         in catalogue.h.
 * Errors: ERROR_INVALID for an ad or a salt that is none or is there twice, ERROR_LIMIT beyond
 *         ads_max or without memory.
 * Memory: counted; catalogue_hold and catalogue_drop. A new one has one reference.
 * Limits: ads_max ads, SNAPSHOT_SALTS_MAX days.
 */
#pragma once

#include "catalogue.h"

enum { SNAPSHOT_SALTS_MAX = 16 };

struct day_salt {
    int64_t day; /* Unix day */
    uint8_t salt[VISITOR_SALT_SIZE];
};

struct catalogue_snapshot *snapshot_new(size_t ads_max); /* NULL: no memory */
/* catalogue_drop for whoever builds one. */
void snapshot_free(struct catalogue_snapshot **snapshot);
/* Copies the ad's text. */
MUST_CHECK bool snapshot_add_ad(struct catalogue_snapshot *snapshot, const struct ad *ad,
                                struct error *err);
MUST_CHECK bool snapshot_add_salt(struct catalogue_snapshot *snapshot, const struct day_salt *salt,
                                  struct error *err);
/* What days are derived from when no salt was added: the process's own random bytes. */
void snapshot_set_seed(struct catalogue_snapshot *snapshot, const uint8_t seed[VISITOR_SALT_SIZE]);
MUST_CHECK bool snapshot_seal(struct catalogue_snapshot *snapshot, bool is_known,
                              struct error *err);

size_t snapshot_salt_count(const struct catalogue_snapshot *snapshot);
const struct day_salt *snapshot_salt_at(const struct catalogue_snapshot *snapshot, size_t index);
/* A hash of all content, the salts included: equal snapshots need not be published again. */
uint64_t snapshot_checksum(const struct catalogue_snapshot *snapshot);
