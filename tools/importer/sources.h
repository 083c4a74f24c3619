/*
 * sources.h — everything that the command line names, opened and in the order it is read
 */
#pragma once

#include "base/text.h"
#include "options.h"
#include "source.h"
#include "source_file.h"
#include "source_list.h"
#include "source_table.h"

enum { SOURCES_MAX = 4, LISTS = 2 };

struct sources {
    struct source rows[SOURCES_MAX];
    size_t count;
    struct endpoint *postgres, *redis_endpoint; /* where the sources are; owned */
    struct tables *tables;                      /* NULL: not asked for; so are the others */
    struct lines *lines;
    struct redis *redis;
    struct list *lists[LISTS];
};

/* What the columns are taken for is added to out_words. */
MUST_CHECK bool sources_open(struct sources *sources, const struct settings *settings,
                             struct text *out_words, struct error *err);
void sources_close(struct sources *sources);
