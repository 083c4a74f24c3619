/*
 * changes_private.h — what changes.c and changes_run.c share; nobody else includes it
 *
 * changes.c puts a list together, changes_run.c sends it to Redis behind its guard.
 */
#pragma once

#include "base/text.h"
#include "changes.h"
#include "clients/redis.h"

struct recent;

struct changes {
    uint32_t partition;
    int64_t at_s;
    struct text bytes; /* the arguments, one after another */
    uint32_t *sizes;   /* of each */
    size_t count, capacity;
    bool failed;
    struct recent *known; /* keys that exist and have all but their fields; NULL: no memory */
    int64_t newest_day;   /* of visitors since known is empty */
    const char **argv;    /* filled by changes_run; as long as sizes, plus keys and head */
    size_t *argv_sizes;
    struct redis_script script, claim;
};

/* Room for more arguments. False: no memory. */
bool changes_grow(struct changes *self);
