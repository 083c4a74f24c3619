/*
 * zones.h — every time zone of the system, read once
 *
 * Why:     an event loop opens no file, and anybody may ask for a name that does not exist.
 * Errors:  what is no time zone is passed over; a directory that cannot be read gives no zones.
 * Threads: a struct zones never changes, all loops share it.
 * Limits:  ZONES_MAX zones, ZONES_DEPTH_MAX directories deep; links to directories are not
 * followed.
 */
#pragma once

#include "zone.h"

enum { ZONES_MAX = 4096, ZONES_DEPTH_MAX = 4 };

struct zones;

struct zones *zones_new(const char *directory); /* NULL: no memory */
void zones_free(struct zones **zones);
size_t zones_count(const struct zones *zones);
/* Lent until zones_free. NULL: no such zone, err says why. */
const struct zone *zones_find(const struct zones *zones, const char *name, size_t size_bytes,
                              struct error *err);
