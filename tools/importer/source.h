/*
 * source.h — where records come from: a table, a file, a list
 *
 * Why:    the three are read in two passes, to judge and to publish, by one piece of code.
 * Shape:  a row a source; read calls each for every record in the source's own order, which is the
 *         same in both passes. A record that cannot be read is an item too, with why.
 * Errors: read fails only when the source as a whole cannot be read on, or when each fails.
 */
#pragma once

#include "record.h"

struct item {
    const char *place;           /* "line 17" */
    const struct record *record; /* NULL: it cannot be read */
    const char *why;             /* then: the reason */
    const char *raw;             /* as it was found; NULL: only the record is there */
    size_t raw_size;
};

typedef bool (*item_fn)(void *ctx, const struct item *item, struct error *err);

struct source {
    const char *name; /* "click_queue"; borrowed */
    void *self;
    bool (*read)(void *self, item_fn each, void *ctx, struct error *err);
};
