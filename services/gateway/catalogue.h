/*
 * catalogue.h — the ads and the visitor salts, in memory on every loop
 *
 * Why:     a click must know whether its ad exists without asking a database; a gateway must start
 *          and serve without PostgreSQL.
 * Shape:   one thread reads PostgreSQL at start, on NOTIFY ads_changed and every refresh_ms, builds
 *          an immutable snapshot, keeps it on disk, and publishes it. A loop takes the newest
 *          snapshot at the end of a turn and holds a counted reference to it; a look-up takes no
 *          lock.
 * Errors:  a refresh that fails is logged once an outage; the last snapshot stays.
 * Threads: open, close and is_following from any; a snapshot is read by any, taken by its holder.
 * Limits:  ads_max ads; beyond, the refresh fails. The thread notices a close within
 *          CATALOGUE_SLICE_MS, or within a query's deadline.
 */
#pragma once

#include "base/error.h"
#include "event/visitor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalogue;
struct catalogue_snapshot;
struct endpoint;

struct ad {
    const char *id; /* all text is borrowed from the snapshot, NUL-terminated */
    const char *title, *image_url, *video_url, *target_url;
    int64_t created_at_ms;
    int64_t version;
    bool is_archived; /* history stays readable, new events are refused */
};

struct catalogue_options {
    struct endpoint *postgres; /* borrowed */
    const char *file;          /* where the snapshot is kept; borrowed */
    int refresh_ms;
    size_t ads_max;
};

/* Loads the file, if any, and starts the thread. */
struct catalogue *catalogue_open(const struct catalogue_options *options, struct error *err);
void catalogue_close(struct catalogue **catalogue);
/* The last reading from PostgreSQL worked, and its connection stands as far as is known. */
bool catalogue_is_following(const struct catalogue *catalogue);

/* The newest snapshot; *held is the caller's reference, replaced when there is a newer one. Cheap
 * when nothing changed. There always is one, if only an unknown one. */
void catalogue_take(struct catalogue *catalogue, const struct catalogue_snapshot **held);
/* One more reference to a snapshot that the caller holds already. */
const struct catalogue_snapshot *catalogue_hold(const struct catalogue_snapshot *held);
void catalogue_drop(const struct catalogue_snapshot **held);

/* False: nothing was ever read, by this process or an earlier one. */
bool catalogue_is_known(const struct catalogue_snapshot *snapshot);
/* NULL: no such ad. */
const struct ad *catalogue_find(const struct catalogue_snapshot *snapshot, const char *id,
                                size_t size_bytes);
size_t catalogue_count(const struct catalogue_snapshot *snapshot);
/* By id, ascending in bytes. */
const struct ad *catalogue_at(const struct catalogue_snapshot *snapshot, size_t index);
/* The place of an ad of this snapshot in that order. */
size_t catalogue_index(const struct catalogue_snapshot *snapshot, const struct ad *ad);
/* The first place whose id is greater; catalogue_count when there is none. */
size_t catalogue_after(const struct catalogue_snapshot *snapshot, const char *id);
/* A hash of the ads: the ETag. */
uint64_t catalogue_version(const struct catalogue_snapshot *snapshot);
/* The day's salt; derived from the last known one when the day has none, so that gateways that
 * know the same salts agree. With no salt at all, one of the process's own. */
void catalogue_salt(const struct catalogue_snapshot *snapshot, int64_t unix_day,
                    uint8_t out[VISITOR_SALT_SIZE]);
