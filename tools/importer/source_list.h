/*
 * source_list.h — a Redis list of an earlier tracker: click_queue, click_dead
 *
 * Why:    a list that a worker still moves shows some elements twice and others never. So each
 *         chunk is read together with the list's length and ends, and a change ends the reading:
 *         what was read until then is right.
 *
 * To remove what was imported, the list is first taken away from the tracker by renaming it to
 * <list>:adledger, which is atomic; that list is read, and deleted when all of it is on the
 * stream. One that an interrupted run has left is read and deleted first.
 *
 * Limits: CHUNK_ELEMENTS elements in memory.
 */
#pragma once

#include "source.h"

struct redis;
struct list;

/* redis is borrowed. */
struct list *list_new(struct redis *redis, const char *name, struct error *err);
void list_free(struct list **list);
const char *list_name(const struct list *list);

/* From now on the taken list is the one that is read; *out_elements may be 0. */
MUST_CHECK bool list_take(struct list *list, long long *out_elements, struct error *err);
MUST_CHECK bool list_delete_taken(struct list *list, struct error *err);

/* source.read over a struct list: what an interrupted run has taken, then the list itself. */
bool list_read(void *list, item_fn each, void *ctx, struct error *err);
